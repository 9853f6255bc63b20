#include "infer/server/state_store.h"

#include <algorithm>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/log.h"
#include "common/secrets.h"
#include "common/sha256.h"
#include "common/stoppable_wait.h"

namespace espalier::infer {
namespace {

namespace fs = std::filesystem;
using FileClock = fs::file_time_type::clock;

constexpr std::chrono::minutes kSweepEvery{1};
constexpr size_t kHandleBytes = 32;
constexpr const char* kHandlePrefix = "st1.";
constexpr const char* kExtension = ".safetensors";

struct StoredFile {
  fs::path path;
  int64_t bytes = 0;
  fs::file_time_type time;
};

// The files below a folder, oldest first. What vanishes meanwhile is left out.
std::vector<StoredFile> files_below(const fs::path& folder) {
  std::vector<StoredFile> files;
  std::error_code error;
  for (auto entry = fs::recursive_directory_iterator(folder, error); !error && entry != fs::end(entry);
       entry.increment(error)) {
    std::error_code gone;
    if (!entry->is_regular_file(gone)) continue;
    StoredFile file{entry->path(), static_cast<int64_t>(entry->file_size(gone)), entry->last_write_time(gone)};
    if (!gone) files.push_back(std::move(file));
  }
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.time < b.time; });
  return files;
}

int64_t bytes_below(const fs::path& folder) {
  int64_t bytes = 0;
  for (const StoredFile& file : files_below(folder)) bytes += file.bytes;
  return bytes;
}

fs::path staging(const fs::path& folder) { return folder / "incoming"; }
fs::path kept(const fs::path& folder) { return folder / "kept"; }

Status unusable(const fs::path& folder, const std::error_code& error) {
  return absl::InvalidArgumentError(absl::StrCat("states.folder: ", folder.string(), ": ", error.message()));
}

}  // namespace

Result<std::unique_ptr<StateStore>> StateStore::open(StateStoreOptions options) {
  std::unique_ptr<StateStore> store(new StateStore(std::move(options)));
  const fs::path& folder = store->options_.folder;
  std::error_code error;
  fs::remove_all(staging(folder), error);  // of a service that was killed
  if (!error) fs::create_directories(staging(folder), error);
  if (!error) fs::create_directories(kept(folder), error);
  if (!error) fs::permissions(folder, fs::perms::owner_all, error);
  if (error) return unusable(folder, error);
  store->sweep();
  store->sweeper_ = std::jthread([own = store.get()](std::stop_token stop) {
    while (wait_unless_stopped(kSweepEvery, stop)) own->sweep();
  });
  return store;
}

Result<TempDir> StateStore::stage() const { return TempDir::create("state", staging(options_.folder)); }

fs::path StateStore::folder_of(const std::string& tenant) const { return kept(options_.folder) / sha256_hex(tenant); }

bool StateStore::is_expired(const fs::path& file) const {
  std::error_code error;
  const auto written = fs::last_write_time(file, error);
  return error || FileClock::now() - written >= options_.time_to_live;
}

void StateStore::sweep() {
  const std::lock_guard lock(mutex_);
  size_t removed = 0;
  std::error_code ignored;
  for (const StoredFile& file : files_below(kept(options_.folder))) {
    if (is_expired(file.path) && fs::remove(file.path, ignored)) ++removed;
  }
  if (removed > 0) log_info("states expired", {{"count", removed}});
}

Status StateStore::make_room(const fs::path& tenant_folder, int64_t bytes) {
  if (bytes > options_.max_tenant_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the state has ", bytes, " bytes; at most ", options_.max_tenant_bytes, " are kept"));
  }
  const std::vector<StoredFile> own = files_below(tenant_folder);
  int64_t used = bytes_below(tenant_folder);
  std::error_code ignored;
  for (size_t i = 0; i < own.size() && used + bytes > options_.max_tenant_bytes; ++i) {
    fs::remove(own[i].path, ignored);
    used -= own[i].bytes;
  }
  if (bytes_below(kept(options_.folder)) + bytes <= options_.max_bytes) return absl::OkStatus();
  return absl::ResourceExhaustedError("the storage of states is full; try again later");
}

Result<StateStore::Kept> StateStore::keep(const std::string& tenant, const fs::path& file) {
  const Kept result{kHandlePrefix + absl::BytesToHexString(random_bytes(kHandleBytes)),
                    std::chrono::system_clock::now() + options_.time_to_live};
  const fs::path folder = folder_of(tenant);
  const std::lock_guard lock(mutex_);
  std::error_code error;
  const auto bytes = static_cast<int64_t>(fs::file_size(file, error));
  if (!error) ESP_TRY(make_room(folder, bytes));
  if (!error) fs::create_directories(folder, error);
  if (!error) fs::last_write_time(file, FileClock::now(), error);
  if (!error) fs::rename(file, folder / (sha256_hex(result.handle) + kExtension), error);
  if (error) return absl::UnavailableError(absl::StrCat("the state cannot be kept: ", error.message()));
  return result;
}

Result<fs::path> StateStore::find(const std::string& tenant, const std::string& handle) const {
  const fs::path file = folder_of(tenant) / (sha256_hex(handle) + kExtension);
  if (!absl::StartsWith(handle, kHandlePrefix) || is_expired(file)) {
    return absl::NotFoundError("no such state: it was never kept, has expired or belongs to another tenant");
  }
  return file;
}

}  // namespace espalier::infer
