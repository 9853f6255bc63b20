#pragma once

#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>

#include "espalier/v1/artefacts.grpc.pb.h"
#include "worker/task.h"

namespace espalier::worker {

// Stores checkpoints beside a running training, so that another worker can go on from them. Only the newest matters:
// one that has not been sent yet is replaced. A checkpoint that cannot be stored is logged and skipped.
class CheckpointUploader {
 public:
  CheckpointUploader(v1::ArtefactService::StubInterface& artefacts, v1::TaskLease lease, Report report);
  // Waits for the checkpoint on its way; drops one that has not begun.
  ~CheckpointUploader();

  void offer(int step, std::filesystem::path file);

 private:
  struct Checkpoint {
    int step;
    std::filesystem::path file;
  };

  void run(const std::stop_token& stop);
  void store(const Checkpoint& checkpoint, const std::stop_token& stop);

  v1::ArtefactService::StubInterface& artefacts_;
  v1::TaskLease lease_;
  Report report_;
  std::mutex mutex_;  // guards newest_
  std::condition_variable_any offered_;
  std::optional<Checkpoint> newest_;
  std::jthread thread_;  // last: ends before the rest goes
};

}  // namespace espalier::worker
