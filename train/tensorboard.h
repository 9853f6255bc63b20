#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

// TensorBoard's event files, as far as scalars go: records of a length, its checksum, the message and its checksum
// (tensorflow/core/lib/io/record_writer.h), each message an Event (tensorflow/core/util/event.proto).
namespace espalier::train {

struct Scalar {
  std::string_view tag;  // "train/loss"
  float value = 0;
};

class EventFile {
 public:
  // A new file; the name must contain "tfevents". INVALID_ARGUMENT: it cannot be written.
  static Result<EventFile> create(const std::filesystem::path& path, double wall_seconds);
  // One event with all scalars of a step. Buffered until flush().
  void write(double wall_seconds, int64_t step, const std::vector<Scalar>& scalars);
  void flush() { file_.flush(); }

 private:
  explicit EventFile(std::ofstream file) : file_(std::move(file)) {}
  void record(const std::string& message);
  std::ofstream file_;
};

// CRC-32C (Castagnoli) of the bytes, and the form in which records carry it.
uint32_t crc32c(std::string_view bytes);
uint32_t masked(uint32_t crc);

}  // namespace espalier::train
