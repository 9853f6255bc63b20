#pragma once

#include <signal.h>
#include <sys/types.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "train/trainer.h"

namespace espalier::train {

// espalier-train as a process of its own, with the settings of `config` that tests vary.
class TrainProcess {
 public:
  TrainProcess(const TrainConfig& config, const std::vector<std::string>& more,
               const std::vector<std::pair<std::string, std::string>>& environment = {});
  ~TrainProcess();  // kills it
  TrainProcess(const TrainProcess&) = delete;
  TrainProcess& operator=(const TrainProcess&) = delete;

  // The next event; null at the end.
  nlohmann::json next();
  // The next one of that kind, with at least that step; null when none comes any more.
  nlohmann::json wait_for(const std::string& kind, int64_t step = 0);
  void kill(int signal) { ::kill(pid_, signal); }
  // Exit code, or minus the signal.
  int wait();
  // Reads the events to the end, then as wait().
  int finish();
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  std::FILE* events_ = nullptr;
};

// The ranks of one group, each a process on this machine. All begin with `config` and `more`.
class TrainGang {
 public:
  TrainGang(const TrainConfig& config, int world_size, const std::vector<std::string>& more = {});

  TrainProcess& rank(int index) { return *ranks_[static_cast<size_t>(index)]; }
  // Exit codes by rank.
  std::vector<int> finish();

 private:
  std::vector<std::unique_ptr<TrainProcess>> ranks_;
};

}  // namespace espalier::train
