#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace espalier::worker {

// The worker's disk: <data_dir>/cache holds downloads by their content, <data_dir>/tasks what tasks left for their next
// attempt. What nobody holds is removed, the longest unused first, while both together exceed the limit. Thread-safe.
class Workspace {
 public:
  Workspace(std::filesystem::path data_dir, uint64_t limit_bytes);

  // Keeps a file of the cache, or the folder of a task, while it lives.
  class Hold {
   public:
    Hold(Hold&& other) noexcept = default;
    Hold& operator=(Hold&&) = delete;
    ~Hold();
    const std::filesystem::path& path() const { return path_; }
    // Of all holders of the path: lock it to make what is not there yet.
    std::mutex& making() const { return *making_; }

   private:
    friend class Workspace;
    Hold(std::filesystem::path path, std::shared_ptr<std::mutex> making)
        : path_(std::move(path)), making_(std::move(making)) {}
    std::filesystem::path path_;
    std::shared_ptr<std::mutex> making_;  // null: moved from
  };

  Hold hold_download(const std::string& sha256);      // <data_dir>/cache/<sha256>.zip
  Hold hold_task_folder(const std::string& task_id);  // <data_dir>/tasks/<task id>

  // Removes what exceeds the limit.
  void trim();

 private:
  Hold hold(std::filesystem::path path);
  bool is_held(const std::filesystem::path& path) const;

  std::filesystem::path data_dir_;
  uint64_t limit_bytes_;
  mutable std::mutex mutex_;  // guards held_, and nobody removes what another begins to hold
  std::map<std::filesystem::path, std::weak_ptr<std::mutex>> held_;
};

}  // namespace espalier::worker
