#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/status.h"

namespace espalier::faults {

// A real espalier-coordinator as a child process on one data folder and one loopback address, killed and started again
// at will. Not thread-safe: one thread owns it (the process dies with that thread, too).
class CoordinatorProcess {
 public:
  struct Options {
    std::filesystem::path folder;  // data, log
    std::string listen;            // HOST:PORT, the same in every life
    std::vector<std::string> settings;
  };
  explicit CoordinatorProcess(Options options) : options_(std::move(options)) {}
  ~CoordinatorProcess();
  CoordinatorProcess(const CoordinatorProcess&) = delete;
  CoordinatorProcess& operator=(const CoordinatorProcess&) = delete;

  // Returns at once; clients try until it answers. `failpoints` as common/failpoint.h reads them.
  Status start(const std::string& failpoints);
  bool running();  // false also when it has ended by itself
  void kill_now();
  // Asks it to stop and waits. The exit code; 128 + signal when a signal ended it.
  int stop();
  // Of the last life that ended; nothing while the first one runs.
  std::optional<int> exit_code() const { return exit_code_; }
  // The end of what it wrote to stderr.
  std::string log_tail() const;

  const std::string& address() const { return options_.listen; }
  std::filesystem::path data_dir() const { return options_.folder / "data"; }

 private:
  void reap(int options);

  const Options options_;
  pid_t pid_ = 0;  // 0: none
  std::optional<int> exit_code_;
};

}  // namespace espalier::faults
