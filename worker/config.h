#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "common/config.h"
#include "common/status.h"
#include "espalier/v1/common.pb.h"

namespace espalier::worker {

// Settings of espalier-worker; configs/worker.yaml documents each.
struct WorkerConfig {
  std::string coordinator = "127.0.0.1:7430";  // HOST:PORT
  std::string data_dir;                        // identity, cached inputs, task folders
  std::string base;                            // folder of the base model
  std::string programs;                        // folder of espalier-preprocess and espalier-train; empty: our own
  int slots = 1;                               // tasks at a time
  int threads_per_task = 0;                    // CPU threads of a child; 0: cores / slots
  std::chrono::milliseconds stop_grace = std::chrono::seconds(30);  // between SIGTERM and SIGKILL of a child
  std::string log_level = "info";
  std::string log_format = "text";
};

// Rows of all settings, bound to `config`.
void describe(WorkerConfig& config, ConfigTable& table);

// Fills what is empty, makes paths absolute and their folders. INVALID_ARGUMENT lists every fault, one per line.
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
