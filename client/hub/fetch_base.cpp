#include "client/hub/fetch_base.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/board.h"
#include "client/hub/digest.h"
#include "client/hub/progress.h"
#include "client/hub/record.h"
#include "common/files.h"

namespace espalier::client {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kDiskReserve = int64_t{64} << 20;
constexpr uint64_t kLargestPipeline = uint64_t{4} << 20;
constexpr size_t kDigestInName = 12;

// Held while a folder is written, so that two fetches do not write one file; released also when the process dies.
class FolderLock {
 public:
  static Result<FolderLock> take(const fs::path& folder) {
    const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return absl::ErrnoToStatus(errno, folder.string());
    FolderLock lock(fd);
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return lock;
    return absl::UnavailableError(absl::StrCat(folder.string(), ": another fetch-base is at work there"));
  }
  FolderLock(FolderLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FolderLock& operator=(FolderLock&&) = delete;
  ~FolderLock() {
    if (fd_ >= 0) ::close(fd_);
  }

 private:
  explicit FolderLock(int fd) : fd_(fd) {}
  int fd_;
};

Status make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  return error ? absl::FailedPreconditionError(absl::StrCat(folder.string(), ": ", error.message())) : absl::OkStatus();
}

// Bears the digest, so that a part is only ever continued with bytes of the same file.
fs::path part_of(const fs::path& path, const HubFile& file) {
  const std::string& digest = file.sha256.empty() ? file.git_sha1 : file.sha256;
  return path.string() + "." + digest.substr(0, kDigestInName) + ".part";
}

int64_t size_of(const fs::path& path) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  return error ? 0 : static_cast<int64_t>(size);
}

// Makes a checked part the file, durably.
Status publish(const fs::path& part, const fs::path& path) {
  const int fd = ::open(part.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 || ::fsync(fd) != 0) return absl::ErrnoToStatus(errno, absl::StrCat(part.string(), ": cannot be synced"));
  ::close(fd);
  std::error_code error;
  fs::rename(part, path, error);
  return error ? absl::InternalError(absl::StrCat(path.string(), ": ", error.message())) : absl::OkStatus();
}

class Fetch {
 public:
  Fetch(const FetchBaseOptions& options, const Hub& hub, BaseRecord record, FetchProgress& progress)
      : options_(options), hub_(hub), record_(std::move(record)), progress_(progress) {}

  Result<FetchedBase> run() {
    ESP_ASSIGN(const HubRepo main, list(options_.repo));
    ESP_ASSIGN(const BasePlan plan, plan_of(main));
    ESP_ASSIGN(const auto missing, survey(plan));
    ESP_TRY(check_disk(missing));
    record_.add(plan, options_.selection.tiers);
    ESP_TRY(record_.write());
    progress_.start(to_load(missing));
    for (const auto* file : missing) {
      ESP_TRY(load(*file));
      ESP_TRY(record_.write());
    }
    for (const auto& file : plan.files) {
      fetched_.bytes += file.file.size;
      fetched_.revisions[file.repo.id] = file.repo.commit;
    }
    fetched_.files = static_cast<int>(plan.files.size());
    return fetched_;
  }

 private:
  // The revision asked for; without one the commit that the folder has, so that a second call changes nothing.
  Result<HubRepo> list(const std::string& id) {
    const std::string pinned = record_.revision(id);
    const std::string wanted = id == options_.repo ? options_.revision : "";
    ESP_ASSIGN(HubRepo repo, hub_.list(id, !wanted.empty() ? wanted : !pinned.empty() ? pinned : "main"));
    ESP_TRY(record_.pin(repo));
    return repo;
  }

  Result<BasePlan> plan_of(const HubRepo& main) {
    const auto found = main.files.find("pipeline.json");
    if (found == main.files.end()) {
      return absl::NotFoundError(absl::StrCat(main.id, " at ", main.commit, " has no pipeline.json: it is no base"));
    }
    const BaseFile pipeline{.repo = main, .file = found->second, .place = "pipeline.json"};
    ESP_ASSIGN(const bool present, is_present(pipeline));
    ESP_TRY(record_.write());
    if (!present) ESP_TRY(load(pipeline));
    ESP_ASSIGN(const std::string text, read_file(record_.folder() / pipeline.place, kLargestPipeline));
    return plan_base(main, text, options_.selection, [this](const std::string& id) { return list(id); });
  }

  // Whether the file is there with the hub's content.
  Result<bool> is_present(const BaseFile& file) {
    const fs::path path = record_.folder() / file.place;
    std::error_code error;
    if (!fs::exists(fs::symlink_status(path, error))) return false;
    const std::string recorded = record_.digest(file.place);
    const bool checked = !recorded.empty() && recorded == file.file.sha256 && size_of(path) == file.file.size;
    if (checked && !options_.verify) return true;
    progress_.checking(file.place);
    const auto digest = check_content(path, file.file);
    if (!digest.ok()) {
      return absl::FailedPreconditionError(absl::StrCat(std::string(digest.status().message()), " of ", file.repo.id,
                                                        "; it is left alone: move it away, or choose another folder"));
    }
    record_.add_digest(file.place, *digest);
    return true;
  }

  Result<std::vector<const BaseFile*>> survey(const BasePlan& plan) {
    std::vector<const BaseFile*> missing;
    for (const auto& file : plan.files) {
      ESP_ASSIGN(const bool present, is_present(file));
      if (!present) missing.push_back(&file);
    }
    return missing;
  }

  int64_t to_load(const std::vector<const BaseFile*>& missing) const {
    int64_t bytes = 0;
    for (const auto* file : missing) {
      bytes +=
          file->file.size - std::min(size_of(part_of(record_.folder() / file->place, file->file)), file->file.size);
    }
    return bytes;
  }

  Status check_disk(const std::vector<const BaseFile*>& missing) const {
    std::error_code error;
    const fs::space_info space = fs::space(record_.folder(), error);
    const int64_t needed = to_load(missing);
    if (error || needed == 0 || static_cast<uint64_t>(needed + kDiskReserve) <= space.available) {
      return absl::OkStatus();
    }
    return absl::ResourceExhaustedError(
        absl::StrCat(record_.folder().string(), ": ", cli::bytes_text(needed),
                     " are to be downloaded, but the disk has ", cli::bytes_text(static_cast<int64_t>(space.available)),
                     " left; make room, choose another folder (-o) or less (--only, --tiers)"));
  }

  // A part whose content turns out wrong is loaded once more from its beginning.
  Status load(const BaseFile& file) {
    const fs::path path = record_.folder() / file.place;
    const fs::path part = part_of(path, file.file);
    ESP_TRY(make_folder(path.parent_path()));
    Result<std::string> digest = absl::UnknownError("");
    for (int round = 0; round < 2 && !digest.ok(); ++round) {
      ESP_TRY(complete(file, part));
      progress_.checking(file.place);
      digest = check_content(part, file.file);
      std::error_code ignored;
      if (!digest.ok()) fs::remove(part, ignored);
    }
    ESP_TRY(annotate(digest.status(), absl::StrCat("the hub sent other bytes than it lists, twice; ", file.repo.id)));
    ESP_TRY(publish(part, path));
    record_.add_digest(file.place, *digest);
    progress_.finish(file.place, file.file.size);
    fetched_.downloaded += file.file.size;
    return absl::OkStatus();
  }

  Status complete(const BaseFile& file, const fs::path& part) {
    const int64_t held = size_of(part);
    if (held == file.file.size && held > 0) return absl::OkStatus();
    progress_.begin(file.place, file.file.size, held);
    return hub_.download(file.repo, file.file, part, [&](int64_t done, int64_t) { progress_.update(done); });
  }

  const FetchBaseOptions& options_;
  const Hub& hub_;
  BaseRecord record_;
  FetchProgress& progress_;
  FetchedBase fetched_;
};

}  // namespace

Result<FetchedBase> fetch_base(const FetchBaseOptions& options) {
  FetchProgress progress(options.silent);
  HubOptions hub_options = options.hub;
  hub_options.on_retry = [&](const std::string& line) { progress.note(line); };
  ESP_ASSIGN(const Hub hub, Hub::create(std::move(hub_options)));
  if (!is_repo_id(options.repo)) {
    return absl::InvalidArgumentError(absl::StrCat("--repo: ", options.repo, " (allowed: owner/name)"));
  }
  ESP_TRY(make_folder(options.folder));
  ESP_ASSIGN(const FolderLock lock, FolderLock::take(options.folder));
  ESP_ASSIGN(BaseRecord record, BaseRecord::open(options.folder, options.repo));
  return Fetch(options, hub, std::move(record), progress).run();
}

}  // namespace espalier::client
