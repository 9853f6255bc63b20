#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "common/status.h"
#include "espalier/v1/common.pb.h"

namespace espalier::worker {

struct WorkerConfig {
  std::string coordinator = "127.0.0.1:7430";    // HOST:PORT
  std::filesystem::path data_dir;                // identity, cached inputs, task folders
  std::filesystem::path base;                    // folder of the base model
  std::filesystem::path programs;                // folder of espalier-preprocess and espalier-train; empty: our own
  int slots = 1;                                 // tasks at a time, 1..64
  int threads_per_task = 0;                      // CPU threads of a child; 0: cores / slots
  std::chrono::milliseconds stop_grace{30'000};  // between SIGTERM and SIGKILL of a child
};

// Fills what is empty. INVALID_ARGUMENT lists every fault, one per line, as `field: what is wrong (allowed: …)`.
Status complete(WorkerConfig& config);

// What this worker is; stays the same for the life of its data folder.
struct Identity {
  std::string worker_id;                // wrk_ and 26 characters
  std::string base;                     // name in the base's espalier.json
  std::vector<v1::Denoiser> denoisers;  // that the base has and espalier-train can train
};

// Reads or makes the id under data_dir. INVALID_ARGUMENT: the base folder is not one.
Result<Identity> load_identity(const WorkerConfig& config);

}  // namespace espalier::worker
