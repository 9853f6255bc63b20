#include "worker/workspace.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/log.h"

namespace espalier::worker {
namespace {

namespace fs = std::filesystem;

struct Leftover {
  fs::path path;
  fs::file_time_type used;
  uint64_t bytes = 0;
};

uint64_t size_of(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return fs::exists(path, error) ? fs::file_size(path, error) : 0;
  uint64_t bytes = 0;
  for (auto it = fs::recursive_directory_iterator(path, error); it != fs::recursive_directory_iterator();
       it.increment(error)) {
    if (error) break;
    std::error_code gone;
    if (it->is_regular_file(gone)) bytes += it->file_size(gone);
  }
  return bytes;
}

// Begun downloads are "<file>.part".
fs::path holder_of(const fs::path& path) {
  return path.extension() == ".part" ? fs::path(path).replace_extension() : path;
}

}  // namespace

Workspace::Workspace(fs::path data_dir, uint64_t limit_bytes)
    : data_dir_(std::move(data_dir)), limit_bytes_(limit_bytes) {}

Workspace::Hold::~Hold() {
  if (making_ == nullptr) return;
  std::error_code error;
  fs::last_write_time(path_, fs::file_time_type::clock::now(), error);  // used until now
}

Workspace::Hold Workspace::hold_download(const std::string& sha256) {
  return hold(data_dir_ / "cache" / absl::StrCat(sha256, ".zip"));
}

Workspace::Hold Workspace::hold_task_folder(const std::string& task_id) { return hold(data_dir_ / "tasks" / task_id); }

Workspace::Hold Workspace::hold(fs::path path) {
  const std::lock_guard lock(mutex_);
  auto& known = held_[path];
  auto making = known.lock();
  if (!making) known = making = std::make_shared<std::mutex>();
  return Hold(std::move(path), std::move(making));
}

bool Workspace::is_held(const fs::path& path) const {
  const auto found = held_.find(holder_of(path));
  return found != held_.end() && !found->second.expired();
}

void Workspace::trim() {
  const std::lock_guard lock(mutex_);
  std::erase_if(held_, [](const auto& entry) { return entry.second.expired(); });
  std::vector<Leftover> leftovers;
  uint64_t total = 0;
  for (const char* folder : {"cache", "tasks"}) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(data_dir_ / folder, error)) {
      const uint64_t bytes = size_of(entry.path());
      total += bytes;
      if (!is_held(entry.path())) leftovers.push_back({entry.path(), fs::last_write_time(entry.path(), error), bytes});
    }
  }
  std::sort(leftovers.begin(), leftovers.end(), [](const auto& a, const auto& b) { return a.used < b.used; });
  for (const auto& leftover : leftovers) {
    if (total <= limit_bytes_) return;
    std::error_code error;
    fs::remove_all(leftover.path, error);
    total -= leftover.bytes;
    log_info("removed to make room", {{"path", leftover.path.string()}, {"bytes", leftover.bytes}});
  }
}

}  // namespace espalier::worker
