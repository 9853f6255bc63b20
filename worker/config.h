#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "common/config.h"
#include "common/status.h"
#include "espalier/v1/common.pb.h"
#include "rpc/channel.h"

namespace espalier::worker {

// Settings of espalier-worker; configs/worker.yaml documents each.
struct WorkerConfig {
  std::string coordinator = "127.0.0.1:7430";  // HOST:PORT
  std::string key_file;                        // worker key; empty: none
  ClientTls tls;                               // of the connection to the coordinator
  bool allow_plaintext_remote = false;         // send the key unencrypted to another machine
  std::string data_dir;                        // identity, cached inputs, task folders
  std::string base;                            // folder of the base model
  std::string programs;                        // folder of espalier-preprocess, -train and -evaluate; empty: our own
  std::string blender;                         // reads .blend files; as --blender of espalier-preprocess
  int slots = 1;                               // tasks at a time
  int threads_per_task = 0;                    // CPU threads of a child; 0: cores / slots
  std::vector<std::string> devices;            // GPUs, shared out to the slots in turn; empty: each task sees all
  std::string advertise_address;  // where other workers reach this one; empty: on the way to the coordinator
  std::chrono::milliseconds rendezvous_timeout = std::chrono::minutes(10);  // for a gang's members to come
  std::chrono::milliseconds answer_timeout = std::chrono::minutes(10);      // silence after which a member is lost
  Bytes disk_limit{uint64_t{50} << 30};                                     // of cached inputs and leftovers of tasks
  std::chrono::milliseconds stop_grace = std::chrono::seconds(30);          // between SIGTERM and SIGKILL of a child
  std::string log_level = "info";
  std::string log_format = "text";
};

// Rows of all settings, bound to `config`.
void describe(WorkerConfig& config, ConfigTable& table);

// Fills what is empty (the advertised address too), makes paths absolute and their folders. INVALID_ARGUMENT lists
// every fault, one per line. FAILED_PRECONDITION: the task programs lack LibTorch.
Status complete(WorkerConfig& config);

// With the key of the file. INVALID_ARGUMENT: the file does not hold one.
Result<ChannelSecurity> channel_security(const WorkerConfig& config);

// What this worker is; stays the same for the life of its data folder.
struct Identity {
  std::string worker_id;                // wrk_ and 26 characters
  std::string base;                     // name in the base's espalier.json
  std::vector<v1::Denoiser> denoisers;  // that the base has and espalier-train can train
};

// Reads or makes the id under data_dir. INVALID_ARGUMENT: the base folder is not one.
Result<Identity> load_identity(const WorkerConfig& config);

}  // namespace espalier::worker
