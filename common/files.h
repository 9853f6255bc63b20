#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "common/status.h"

namespace espalier {

// The whole file. NOT_FOUND when it does not exist, RESOURCE_EXHAUSTED when it is larger than `max_bytes`.
Result<std::string> read_file(const std::filesystem::path& path, uint64_t max_bytes = uint64_t{8} << 30);

// Replaces `path` in one step: a reader sees the old bytes or all of the new ones, also after a crash
// (temporary file beside it, fsync, rename, fsync of the folder).
Status write_file_atomic(const std::filesystem::path& path, std::string_view bytes);

// A fresh private folder (mode 0700), removed with its content at the end of the scope.
class TempDir {
 public:
  // `parent` empty: the system's temporary folder ($TMPDIR or /tmp).
  static Result<TempDir> create(std::string_view prefix = "espalier", const std::filesystem::path& parent = {});
  ~TempDir();
  TempDir(TempDir&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TempDir& operator=(TempDir&& other) noexcept;
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  explicit TempDir(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

}  // namespace espalier
