#include "worker/checkpoint_uploader.h"

#include <utility>

#include "common/log.h"
#include "rpc/transfer.h"

namespace espalier::worker {

CheckpointUploader::CheckpointUploader(v1::ArtefactService::StubInterface& artefacts, v1::TaskLease lease,
                                       Report report)
    : artefacts_(artefacts),
      lease_(std::move(lease)),
      report_(std::move(report)),
      thread_([this](const std::stop_token& stop) { run(stop); }) {}

CheckpointUploader::~CheckpointUploader() = default;

void CheckpointUploader::offer(int step, std::filesystem::path file) {
  const std::lock_guard lock(mutex_);
  newest_ = Checkpoint{step, std::move(file)};
  offered_.notify_all();
}

void CheckpointUploader::run(const std::stop_token& stop) {
  while (true) {
    std::unique_lock lock(mutex_);
    if (!offered_.wait(lock, stop, [this] { return newest_.has_value(); })) return;
    if (stop.stop_requested()) return;
    const auto checkpoint = *std::exchange(newest_, std::nullopt);
    lock.unlock();
    store(checkpoint, stop);
  }
}

void CheckpointUploader::store(const Checkpoint& checkpoint, const std::stop_token& stop) {
  UploadDescription description;
  description.kind = v1::ARTEFACT_KIND_CHECKPOINT;
  description.file_name = checkpoint.file.filename().string();
  description.task = &lease_;
  TransferOptions options;
  options.stop = stop;
  const auto artefact = upload_file(artefacts_, checkpoint.file, description, options);
  if (!artefact.ok()) {
    log_warning(
        "checkpoint not stored",
        {{"task", lease_.task_id()}, {"step", checkpoint.step}, {"err", std::string(artefact.status().message())}});
    return;
  }
  v1::WorkerMessage message;
  auto& saved = *message.mutable_checkpoint_saved();
  *saved.mutable_lease() = lease_;
  saved.set_step(checkpoint.step);
  saved.set_artefact_id(artefact->artefact_id());
  report_(std::move(message));
}

}  // namespace espalier::worker
