#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "common/config.h"
#include "common/status.h"
#include "rpc/tls.h"

namespace espalier::coordinator {

using Milliseconds = std::chrono::milliseconds;

// How tasks are given out and taken back.
struct LeaseConfig {
  Milliseconds time = std::chrono::seconds(30);
  Milliseconds heartbeat = std::chrono::seconds(5);
  Milliseconds cancel_grace = std::chrono::seconds(30);
  int max_attempts = 4;                                // failures that count, per task
  Milliseconds retry_first = std::chrono::seconds(2);  // doubles with every failure
  Milliseconds retry_longest = std::chrono::seconds(60);
  Milliseconds rendezvous = std::chrono::minutes(10);  // for a gang's members to find each other
};

// Who is served next; docs/scheduling.md gives the equations.
struct SchedulingConfig {
  Milliseconds half_life = std::chrono::hours(24);        // of past usage
  Milliseconds horizon = std::chrono::minutes(10);        // that running ranks count ahead
  Milliseconds priority_step = std::chrono::minutes(15);  // of waiting is worth one priority
  Milliseconds gang_patience = std::chrono::seconds(60);  // after which slots are held for a gang
  Milliseconds shrink_after = std::chrono::seconds(30);   // an interrupted gang waits for its full size
  int max_shards = 8;                                     // of a preparation
  int objects_per_shard = 16;                             // worth a shard of its own
};

// The base model that this installation trains on.
struct BaseConfig {
  std::string name = "nano";
  std::vector<std::string> denoisers = {"sparse_structure", "geometry", "texture"};  // that it has
  std::vector<std::string> resolutions = {"512"};                                    // tiers that it has
  double recommended_learning_rate = 2e-3;                                           // 0: it recommends none
};

struct LimitConfig {
  Bytes archive{uint64_t{8} << 30};  // what a client uploads
  Bytes output{uint64_t{16} << 30};  // what a task stores
  Bytes min_free_disk{uint64_t{1} << 30};
};

// How long things are kept that nobody deletes. Datasets, adapters and jobs are kept until they are deleted.
struct RetentionConfig {
  Milliseconds uploads = std::chrono::hours(7 * 24);           // archives of clients that no unfinished job reads
  Milliseconds partial_uploads = std::chrono::hours(24);       // that nobody goes on with
  Milliseconds logs = std::chrono::hours(30 * 24);             // log lines and log files of ended jobs
  Milliseconds checkpoints = std::chrono::hours(24);           // and parts of datasets, left by ended jobs
  Milliseconds unlisted_outputs = std::chrono::hours(7 * 24);  // of ended jobs, in no dataset and no adapter
  Milliseconds interval = std::chrono::minutes(10);            // between sweeps
};

// Where usage events go besides the database.
struct UsageExportConfig {
  std::string file;  // JSON lines; empty: no export
  Milliseconds interval = std::chrono::seconds(5);
};

// Settings of espalier-coordinator; configs/coordinator.yaml documents each.
struct CoordinatorConfig {
  std::string listen = "127.0.0.1:7430";
  bool allow_plaintext_remote = false;
  ServerTls tls;
  std::string data_dir = "espalier-data";
  std::string pricing_file;  // empty: built-in prices
  std::string log_level = "info";
  std::string log_format = "text";
  Milliseconds shutdown_grace = std::chrono::seconds(10);
  LeaseConfig lease;
  SchedulingConfig scheduling;
  BaseConfig base;
  LimitConfig limits;
  RetentionConfig retention;
  UsageExportConfig usage_export;
  std::string metrics_listen;  // empty: no endpoint
};

// Rows of all settings, bound to `config`.
void describe(CoordinatorConfig& config, ConfigTable& table);

// Defaults < file < ESPALIER_COORDINATOR_* < overrides. INVALID_ARGUMENT with every fault.
Result<CoordinatorConfig> load_coordinator_config(const std::filesystem::path& file,
                                                  const std::vector<std::pair<std::string, std::string>>& overrides);

}  // namespace espalier::coordinator
