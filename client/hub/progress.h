#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "cli/board.h"

namespace espalier::client {

// How far a fetch is, on stderr: a line for the file at hand, one for all with rate and time left, and one that stays
// for every file that is complete. Not thread-safe.
class FetchProgress {
 public:
  explicit FetchProgress(bool silent) : board_(silent) {}

  void start(int64_t bytes_to_load);
  void begin(const std::string& name, int64_t size, int64_t held);
  void update(int64_t done);  // of the file at hand; falls back when it begins anew
  void checking(const std::string& name);
  void finish(const std::string& name, int64_t size);
  void note(const std::string& line) { board_.print(line); }

 private:
  using Clock = std::chrono::steady_clock;

  void draw();

  cli::Board board_;
  std::string name_;
  int64_t size_ = 0, done_ = 0;  // of the file at hand
  int64_t total_ = 0;            // bytes to load in all
  int64_t loaded_ = 0;           // of them
  Clock::time_point start_ = {}, drawn_ = {};
};

}  // namespace espalier::client
