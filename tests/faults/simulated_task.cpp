#include "tests/faults/simulated_task.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/sha256.h"
#include "rpc/status.h"

namespace espalier::faults {
namespace {

constexpr int kPiecesPerCheckpoint = 3;

v1::WorkerMessage message_of(v1::TaskFinished finished) {
  v1::WorkerMessage message;
  *message.mutable_task_finished() = std::move(finished);
  return message;
}

// The artefacts that a task reads.
std::vector<std::string> inputs_of(const v1::AssignTask& task) {
  if (task.has_train()) return {task.train().dataset().artefact_id()};
  if (task.has_preprocess()) return {task.preprocess().source().artefact_id()};
  std::vector<std::string> parts;
  for (const auto& part : task.merge().parts()) parts.push_back(part.artefact_id());
  return parts;
}

bool is_shard(const v1::AssignTask& task) { return task.has_preprocess() && task.preprocess().shards() > 1; }

std::string prepared_by(const v1::AssignTask& task, const std::vector<std::string>& inputs) {
  if (task.has_merge()) return merge(inputs);
  return is_shard(task) ? prepare_part(inputs[0], task.preprocess()) : prepare(inputs[0], task.preprocess());
}

}  // namespace

Fate SimulatedTask::fate() const {
  if (assignment_.has_merge()) return Fate::kSucceeds;
  const auto index =
      static_cast<size_t>(assignment_.has_train() ? assignment_.train().seed() : assignment_.preprocess().seed());
  const PlannedJob& job = world_.plan.jobs.at(index);
  return assignment_.has_train() ? job.training.at(assignment_.train().denoiser()) : job.preparation;
}

void SimulatedTask::advance(const Connection& connection) {
  switch (phase_) {
    case Phase::kFetch:
      return fetch(connection);
    case Phase::kRendezvous:
      return meet();
    case Phase::kWork:
      return work(connection);
    case Phase::kStore:
      return store_or_fail(connection);
    case Phase::kFinish:
      return finish();
    case Phase::kEnded:
      return;
  }
}

bool SimulatedTask::fetch_one(const Connection& connection, const std::string& artefact_id, std::string& into) {
  auto bytes = download_once(connection, artefact_id, &lease());
  if (bytes.ok()) {
    into = *std::move(bytes);
    return true;
  }
  if (absl::IsDataLoss(bytes.status())) world_.violation("wrong", bytes.status().ToString());
  const bool lost = reason_of(bytes.status()) == "LEASE_LOST";  // the coordinator will say so on the stream
  if (!lost && !is_transient(bytes.status())) fail(false, bytes.status().ToString());
  return false;
}

void SimulatedTask::fetch(const Connection& connection) {
  const std::vector<std::string> wanted = inputs_of(assignment_);
  inputs_.resize(wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (inputs_[i].empty() && !fetch_one(connection, wanted[i], inputs_[i])) return;
  }
  if (!assignment_.has_train()) {
    started(0);
    phase_ = Phase::kWork;
    return;
  }
  const std::string& checkpoint = assignment_.train().checkpoint().artefact_id();
  if (is_leader() && !checkpoint.empty() && checkpoint_.empty() && !fetch_one(connection, checkpoint, checkpoint_)) {
    return;
  }
  begin_training();
}

// From the coordinator's checkpoint, or from one on this machine's own disk that is at the same or a later step.
void SimulatedTask::begin_training() {
  training_ = std::make_unique<Training>(assignment_.train(), inputs_[0]);
  if (!checkpoint_.empty() && !training_->resume(checkpoint_)) {
    world_.violation("wrong", absl::StrCat("task ", lease().task_id(), " was given a checkpoint of something else"));
  }
  if (training_->step() != assignment_.train().checkpoint_step() && is_leader()) {
    world_.violation("wrong", absl::StrCat("the checkpoint is of step ", training_->step(), ", not ",
                                           assignment_.train().checkpoint_step()));
  }
  Training local(assignment_.train(), inputs_[0]);
  const auto kept = machine_.disk.find(lease().task_id());
  if (kept != machine_.disk.end() && local.resume(kept->second) && local.step() >= training_->step()) {
    *training_ = local;
  }
  started(training_->step());
  if (is_gang() && is_leader()) {
    v1::WorkerMessage message;
    *message.mutable_rendezvous_ready()->mutable_lease() = lease();
    message.mutable_rendezvous_ready()->set_port(20'000 + static_cast<int>(lease().fencing_token() % 10'000));
    report_(std::move(message));
  }
  phase_ = is_gang() ? Phase::kRendezvous : Phase::kWork;
}

void SimulatedTask::meet() {
  const uint64_t gang = lease().fencing_token();
  if (!met_) world_.gangs.join(gang, lease().member());
  met_ = true;
  if (world_.gangs.broken(gang)) return fail(false, "a member of the gang is gone");
  if (!world_.gangs.complete(gang, assignment_.train().gang().world_size())) return;
  phase_ = Phase::kWork;
}

void SimulatedTask::started(int step) {
  v1::WorkerMessage message;
  *message.mutable_task_started()->mutable_lease() = lease();
  message.mutable_task_started()->set_resumed_at_step(step);
  report_(std::move(message));
}

// What the plan says for this task, or by chance as long as the scenario has failures to spare.
bool SimulatedTask::child_fails() {
  const Fate planned = fate();
  if (planned == Fate::kFailsForGood && pieces_ > 0) {
    fail(true, "this input cannot work");
  } else if (planned == Fate::kAlwaysFails && pieces_ > 0) {
    fail(false, "it never works");
  } else if (machine_.random.uniform() < machine_.plan.child_failure && world_.take_failure()) {
    fail(false, "the child crashed");
  } else {
    return false;
  }
  ++world_.counters.child_failures;
  return true;
}

void SimulatedTask::work(const Connection& connection) {
  if (is_gang() && !is_leader()) return follow();
  if (is_gang() && world_.gangs.broken(lease().fencing_token())) return fail(false, "a member of the gang is gone");
  if (child_fails()) return;
  ++pieces_;
  if (assignment_.has_train()) return train(connection);
  if (pieces_ == 1) {
    v1::WorkerMessage message;
    *message.mutable_preparation_progress()->mutable_lease() = lease();
    message.mutable_preparation_progress()->mutable_progress()->set_done(pieces_);
    report_(std::move(message));
    return;
  }
  output_ = prepared_by(assignment_, inputs_);
  phase_ = Phase::kStore;
}

void SimulatedTask::follow() {
  const uint64_t gang = lease().fencing_token();
  if (world_.gangs.broken(gang)) return fail(false, "a member of the gang is gone");
  if (!world_.gangs.finished(gang)) return;
  v1::TaskFinished finished;
  finished.mutable_member_done();
  report_end(std::move(finished));
}

void SimulatedTask::train(const Connection& connection) {
  training_->advance();
  v1::WorkerMessage message;
  auto& progress = *message.mutable_training_progress();
  *progress.mutable_lease() = lease();
  progress.set_total_steps(assignment_.train().steps());
  auto& point = *progress.add_points();
  point.set_step(training_->step());
  point.set_loss(1.0 / training_->step());
  report_(std::move(message));
  if (training_->done()) {
    output_ = training_->adapter(absl::StrCat(lease().fencing_token()));
    if (is_gang()) world_.gangs.finish(lease().fencing_token());
    phase_ = Phase::kStore;
  } else if (pieces_ % kPiecesPerCheckpoint == 0) {
    save_checkpoint(connection);
  }
}

void SimulatedTask::save_checkpoint(const Connection& connection) {
  const std::string bytes = training_->checkpoint();
  machine_.disk[lease().task_id()] = bytes;
  const auto stored = upload(connection, v1::ARTEFACT_KIND_CHECKPOINT, "checkpoint.bin", bytes);
  if (!stored.ok()) return;  // the training goes on without it
  v1::WorkerMessage message;
  *message.mutable_checkpoint_saved()->mutable_lease() = lease();
  message.mutable_checkpoint_saved()->set_step(training_->step());
  message.mutable_checkpoint_saved()->set_artefact_id(stored->artefact_id());
  report_(std::move(message));
}

Result<v1::Artefact> SimulatedTask::upload(const Connection& connection, v1::ArtefactKind kind, const std::string& name,
                                           const std::string& bytes) {
  Parcel parcel{.kind = kind, .file_name = name, .bytes = bytes, .lease = &lease(), .cut_at = std::nullopt};
  if (machine_.random.uniform() < machine_.plan.cut) {
    parcel.cut_at = machine_.random.below(static_cast<uint32_t>(bytes.size()));
    ++world_.counters.cut_uploads;
  }
  auto stored = upload_once(connection, parcel);
  if (absl::IsResourceExhausted(stored.status())) ++world_.counters.full_disks;
  if (absl::IsDataLoss(stored.status())) world_.violation("wrong", stored.status().ToString());
  return stored;
}

Status SimulatedTask::store(const Connection& connection) {
  const v1::ArtefactKind kind = assignment_.has_train() ? v1::ARTEFACT_KIND_ADAPTER
                                : is_shard(assignment_) ? v1::ARTEFACT_KIND_DATASET_PART
                                                        : v1::ARTEFACT_KIND_PREPARED_DATASET;
  ESP_ASSIGN(stored_,
             upload(connection, kind, assignment_.has_train() ? "adapter.safetensors" : "dataset.zip", output_));
  phase_ = Phase::kFinish;
  return absl::OkStatus();
}

void SimulatedTask::store_or_fail(const Connection& connection) {
  const Status status = store(connection);
  if (status.ok() || reason_of(status) == "LEASE_LOST") return;  // the coordinator will say so on the stream
  if (!is_transient(status) || absl::IsResourceExhausted(status)) fail(false, "not stored: " + status.ToString());
}

void SimulatedTask::finish() {
  v1::TaskFinished finished;
  if (assignment_.has_train())
    finished.mutable_trained()->set_artefact_id(stored_.artefact_id());
  else
    *finished.mutable_preprocessed() = preparation_result();
  report_end(std::move(finished));
}

v1::PreprocessResult SimulatedTask::preparation_result() const {
  v1::PreprocessResult result;
  result.set_artefact_id(stored_.artefact_id());
  result.set_content_id(sha256_hex(output_));
  result.set_objects(objects_in(output_));
  result.set_reused(assignment_.has_preprocess() && is_dataset(inputs_[0]));
  const std::string header = output_.substr(0, output_.find('\n'));  // "dataset RESOLUTION DENOISERS SEED"
  const std::vector<std::string> words = absl::StrSplit(header.substr(header.find("dataset ")), ' ');
  int number = 0;
  if (absl::SimpleAtoi(words.at(1), &number)) result.set_resolution(number);
  const std::vector<std::string> denoisers = absl::StrSplit(words.at(2), ',');
  for (const std::string& denoiser : denoisers) {
    if (absl::SimpleAtoi(denoiser, &number)) result.add_denoisers(static_cast<v1::Denoiser>(number));
  }
  return result;
}

void SimulatedTask::fail(bool permanent, const std::string& message) {
  if (is_gang()) world_.gangs.break_up(lease().fencing_token());
  v1::TaskFinished finished;
  finished.mutable_failure()->set_permanent(permanent);
  finished.mutable_failure()->set_message(message);
  report_end(std::move(finished));
}

void SimulatedTask::report_end(v1::TaskFinished finished) {
  *finished.mutable_lease() = lease();
  finished_seq_ = report_(message_of(std::move(finished)));
  phase_ = Phase::kEnded;
}

void SimulatedTask::hand_back() {
  if (phase_ == Phase::kEnded) return;
  if (is_gang()) world_.gangs.break_up(lease().fencing_token());
  v1::TaskFinished finished;
  finished.mutable_cancelled();
  report_end(std::move(finished));
}

void SimulatedTask::finish_late(const Connection& connection) {
  const bool begun = phase_ != Phase::kFetch && phase_ != Phase::kEnded;
  if (!begun || is_gang() || fate() != Fate::kSucceeds) return;
  ++world_.counters.zombies;
  while (training_ && !training_->done()) training_->advance();
  output_ = training_ ? training_->adapter(absl::StrCat(lease().fencing_token())) : prepared_by(assignment_, inputs_);
  const Status status = store(connection);
  if (status.ok()) return finish();
  // The lease is another's: even a permanent failure told under this one must not end the task.
  if (reason_of(status) == "LEASE_LOST") fail(true, "told by an attempt that is over");
}

bool SimulatedTask::abandon() {
  if (!is_gang() || phase_ == Phase::kEnded) return false;
  world_.gangs.break_up(lease().fencing_token());
  return true;
}

}  // namespace espalier::faults
