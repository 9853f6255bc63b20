#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "archive/central_directory.h"
#include "common/status.h"

namespace espalier::archive {

// A zip file opened for reading single entries; the whole directory has passed read_central_directory().
//
// Thread-safe: any number of threads may read. Stored entries are read without a lock (pread), deflated ones are
// inflated by libzip one at a time. Every read checks the declared size, the CRC and the ratio rule as it goes.
// The file must not change while open.
class ZipReader {
 public:
  // NOT_FOUND when there is no such file; otherwise the errors of read_central_directory().
  static Result<std::shared_ptr<const ZipReader>> open(const std::filesystem::path& path, const Limits& limits = {});
  // A small archive held in memory (copied); the same errors.
  static Result<std::shared_ptr<const ZipReader>> from_bytes(std::string_view bytes, const Limits& limits = {});
  ~ZipReader();
  ZipReader(const ZipReader&) = delete;
  ZipReader& operator=(const ZipReader&) = delete;

  const std::vector<Entry>& entries() const;       // in archive order
  const Entry* find(std::string_view name) const;  // nullptr: no such file; folders are not found
  const Limits& limits() const;

  // Hands the inflated bytes to `sink` piece by piece; a failing sink ends the read with its status.
  // INVALID_ARGUMENT: wrong size or CRC, broken deflate stream. RESOURCE_EXHAUSTED: a limit.
  using Sink = std::function<Status(std::span<const std::byte>)>;
  Status read(const Entry& entry, const Sink& sink) const;
  // The whole entry; RESOURCE_EXHAUSTED when it is larger than `max_bytes`, before anything is allocated.
  Result<std::string> read(const Entry& entry, uint64_t max_bytes) const;

 private:
  struct State;
  explicit ZipReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace espalier::archive
