#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "common/files.h"
#include "common/sha256.h"
#include "coordinator/clock.h"
#include "coordinator/jobs/change_board.h"
#include "coordinator/jobs/job_desk.h"
#include "coordinator/scheduling/scheduler.h"
#include "coordinator/storage/artefact_library.h"
#include "coordinator/storage/database.h"
#include "rpc/status.h"

namespace espalier::coordinator {

class FakeClock final : public Clock {
 public:
  int64_t now_us() const override { return now_us_; }
  void advance(std::chrono::milliseconds time) { now_us_ += std::chrono::microseconds(time).count(); }

 private:
  std::atomic<int64_t> now_us_{1'700'000'000'000'000};
};

// A worker as the scheduler sees it; keeps what it was sent.
class FakeLink final : public WorkerLink {
 public:
  void send(v1::CoordinatorMessage message) override { sent.push_back(std::move(message)); }
  void close(const Status& why) override { closed = why; }

  // The next message of the kind that `has` tells, dropping those before it; empty when there is none.
  template <class Has>
  std::optional<v1::CoordinatorMessage> next(Has has) {
    while (!sent.empty()) {
      v1::CoordinatorMessage message = std::move(sent.front());
      sent.pop_front();
      if (has(message)) return message;
    }
    return std::nullopt;
  }
  std::optional<v1::AssignTask> assigned() {
    const auto message = next([](const auto& m) { return m.has_assign_task(); });
    return message ? std::optional(message->assign_task()) : std::nullopt;
  }
  std::optional<v1::CancelTask> cancelled() {
    const auto message = next([](const auto& m) { return m.has_cancel_task(); });
    return message ? std::optional(message->cancel_task()) : std::nullopt;
  }

  std::deque<v1::CoordinatorMessage> sent;
  std::optional<Status> closed;
};

inline const std::string kWorkerA = "wrk_aaaaaaaaaaaaaaaaaaaaaaaaaa";
inline const std::string kWorkerB = "wrk_bbbbbbbbbbbbbbbbbbbbbbbbbb";

inline BaseConfig all_denoisers() {
  BaseConfig base;
  base.denoisers = {"sparse_structure", "geometry", "texture"};
  base.resolutions = {"512", "1024"};
  base.recommended_learning_rate = 0;
  return base;
}

// The inside of a coordinator on a real database file and a real folder, without gRPC. reopen() is what a kill -9 and
// a restart leave.
class Inside {
 public:
  explicit Inside(BaseConfig base = all_denoisers(), LimitConfig limits = {.min_free_disk = {0}})
      : base_(std::move(base)), limits_(limits) {
    folder = *TempDir::create();
    reopen();
  }

  void close() {
    desk.reset();
    scheduler.reset();
    library.reset();
    blobs.reset();
    database.reset();
  }

  void reopen() {
    close();
    database = *Database::open(folder->path() / "test.db");
    blobs = *BlobStore::open({folder->path() / "artefacts", limits_.min_free_disk});
    library = std::make_unique<ArtefactLibrary>(*database, *blobs, limits_, clock);
    scheduler =
        std::make_unique<Scheduler>(Scheduler::Parts{*database, *library, changes, clock}, leases, base_, scheduling);
    desk = std::make_unique<JobDesk>(JobDesk::Parts{*database, *scheduler, clock}, base_, leases, billing::PriceList());
    EXPECT_TRUE(scheduler->recover().ok());
  }

  // Stores `bytes`; with a lease as that task's output.
  std::string store(v1::ArtefactKind kind, const std::string& bytes, const v1::TaskLease* lease = nullptr) {
    v1::UploadHeader header;
    header.set_kind(kind);
    header.set_file_name("file.bin");
    header.set_size_bytes(static_cast<int64_t>(bytes.size()));
    header.set_sha256(sha256_hex(bytes));
    if (lease) *header.mutable_task() = *lease;
    auto upload = library->upload(kLocalTenant, header);
    if (!upload.ok()) return "";
    if ((*upload)->existing()) return (*upload)->existing()->id;
    EXPECT_TRUE((*upload)->write(bytes).ok());
    const auto artefact = (*upload)->finish();
    return artefact.ok() ? artefact->id : "";
  }

  v1::SubmitJobRequest request(const std::string& request_id, std::vector<v1::Denoiser> denoisers) {
    v1::SubmitJobRequest request;
    request.set_request_id(request_id);
    request.mutable_spec()->set_artefact_id(store(v1::ARTEFACT_KIND_ARCHIVE, "zip of assets"));
    for (const v1::Denoiser denoiser : denoisers) request.mutable_spec()->add_denoisers(denoiser);
    request.mutable_spec()->set_steps(100);
    return request;
  }

  v1::Job submit(std::vector<v1::Denoiser> denoisers = {v1::DENOISER_SPARSE_STRUCTURE}) {
    const auto response = desk->submit(kLocalTenant, request("request-" + std::to_string(++requests_), denoisers));
    EXPECT_TRUE(response.ok()) << response.status();
    return response->job();
  }

  v1::Job job(const std::string& id) { return *desk->job(kLocalTenant, id); }

  std::optional<TempDir> folder;
  FakeClock clock;
  LeaseConfig leases;
  SchedulingConfig scheduling;
  ChangeBoard changes;
  std::unique_ptr<Database> database;
  std::unique_ptr<BlobStore> blobs;
  std::unique_ptr<ArtefactLibrary> library;
  std::unique_ptr<Scheduler> scheduler;
  std::unique_ptr<JobDesk> desk;

 private:
  BaseConfig base_;
  LimitConfig limits_;
  int requests_ = 0;
};

// One worker process talking to the scheduler of `inside`.
class FakeWorker {
 public:
  FakeWorker(Inside& inside, std::string id, int slots = 1, uint64_t epoch = 1)
      : inside_(inside), id_(std::move(id)), slots_(slots), epoch_(epoch) {}

  Status attach(std::vector<v1::TaskLease> running = {}) {
    v1::Hello hello;
    hello.set_worker_id(id_);
    hello.set_epoch(epoch_);
    hello.set_slots(slots_);
    hello.set_base("nano");
    hello.set_address("host-of-" + id_);
    for (const int denoiser : {1, 2, 3}) hello.add_denoisers(static_cast<v1::Denoiser>(denoiser));
    for (const auto& lease : running) *hello.add_running() = lease;
    link = std::make_shared<FakeLink>();
    const auto ticket = inside_.scheduler->attach(hello, link);
    if (ticket.ok()) ticket_ = *ticket;
    return ticket.status();
  }

  Status report(v1::WorkerMessage message) {
    message.set_seq(++seq);
    return inside_.scheduler->receive(ticket_, message);
  }
  Status raw(const v1::WorkerMessage& message) { return inside_.scheduler->receive(ticket_, message); }

  Status heartbeat(std::vector<v1::TaskLease> running, bool draining = false) {
    v1::WorkerMessage message;
    message.mutable_heartbeat()->set_draining(draining);
    for (const auto& lease : running) *message.mutable_heartbeat()->add_running() = lease;
    return inside_.scheduler->receive(ticket_, message);
  }

  Status prepared(const v1::AssignTask& task, int objects = 12) {
    v1::WorkerMessage message;
    *message.mutable_task_finished()->mutable_lease() = task.lease();
    auto* result = message.mutable_task_finished()->mutable_preprocessed();
    result->set_artefact_id(inside_.store(v1::ARTEFACT_KIND_PREPARED_DATASET, "prepared", &task.lease()));
    result->set_resolution(task.preprocess().resolution());
    *result->mutable_denoisers() = task.preprocess().denoisers();
    result->set_objects(objects);
    return report(message);
  }
  Status trained(const v1::AssignTask& task) {
    v1::WorkerMessage message;
    *message.mutable_task_finished()->mutable_lease() = task.lease();
    const std::string bytes = "adapter of " + task.lease().task_id();
    message.mutable_task_finished()->mutable_trained()->set_artefact_id(
        inside_.store(v1::ARTEFACT_KIND_ADAPTER, bytes, &task.lease()));
    return report(message);
  }
  Status failed(const v1::AssignTask& task, bool permanent) {
    v1::WorkerMessage message;
    *message.mutable_task_finished()->mutable_lease() = task.lease();
    message.mutable_task_finished()->mutable_failure()->set_permanent(permanent);
    message.mutable_task_finished()->mutable_failure()->set_message("it broke");
    return report(message);
  }
  Status stopped(const v1::AssignTask& task) {
    v1::WorkerMessage message;
    *message.mutable_task_finished()->mutable_lease() = task.lease();
    message.mutable_task_finished()->mutable_cancelled();
    return report(message);
  }
  Status progress(const v1::AssignTask& task, int step) {
    v1::WorkerMessage message;
    *message.mutable_training_progress()->mutable_lease() = task.lease();
    auto* point = message.mutable_training_progress()->add_points();
    point->set_step(step);
    point->set_loss(1.0 / step);
    return report(message);
  }
  void detach() { inside_.scheduler->detach(ticket_); }

  std::shared_ptr<FakeLink> link;
  uint64_t seq = 0;

 private:
  Inside& inside_;
  std::string id_;
  int slots_;
  uint64_t epoch_;
  uint64_t ticket_ = 0;
};

}  // namespace espalier::coordinator
