#pragma once

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/status.h"
#include "coordinator/config.h"
#include "coordinator/storage/database.h"

namespace espalier::coordinator {

// A file of one JSON object per line that others read while it grows. Not thread-safe.
class JsonLinesFile {
 public:
  explicit JsonLinesFile(std::filesystem::path file) : file_(std::move(file)) {}

  // All lines or none: returns once they are on the disk, and leaves no part of a line behind, also when an earlier
  // process was killed while it wrote. The file is opened anew each time, so it may be moved away.
  // RESOURCE_EXHAUSTED: the disk is full. UNAVAILABLE: cannot be opened or written.
  Status append(const std::vector<std::string>& lines);

 private:
  const std::filesystem::path file_;
};

// Carries usage events from the outbox to a file in the background: each at least once and under the same id, in order.
// A file that cannot be written delays the export and nothing else; it is tried again after pauses that double.
class UsageExporter {
 public:
  // `database` must outlive the exporter.
  UsageExporter(Database& database, UsageExportConfig config);
  // Stops after the batch that is being written.
  ~UsageExporter();

  // Exports one batch now; the number of events. Errors as JsonLinesFile::append and of the database.
  Result<size_t> export_batch();

 private:
  void run();

  Database& database_;
  const UsageExportConfig config_;
  std::mutex mutex_;  // guards stopping_
  std::condition_variable changed_;
  bool stopping_ = false;
  std::mutex batch_mutex_;  // one batch at a time; guards file_
  JsonLinesFile file_;
  std::thread thread_;  // last: uses all above
};

}  // namespace espalier::coordinator
