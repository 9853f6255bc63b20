#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "common/status.h"

namespace espalier::archive::detail {

// A zip under construction, on disk (temporary file beside its place, removed unless committed) or in memory.
class Output {
 public:
  static Result<std::unique_ptr<Output>> create(const std::filesystem::path& path);
  static Result<std::unique_ptr<Output>> create_in_memory();
  ~Output();
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  uint64_t offset() const { return offset_; }
  Status write(std::string_view bytes);                      // at the end
  Status write_at(uint64_t offset, std::string_view bytes);  // over earlier bytes
  Result<std::string> bytes() const;                         // all so far
  Status commit();                                           // fsync and rename

 private:
  explicit Output(const std::filesystem::path& path);
  const std::filesystem::path path_, temporary_;  // empty in memory
  int fd_ = -1;
  uint64_t offset_ = 0;
};

}  // namespace espalier::archive::detail
