#include "bench/load/worker_fleet.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <mutex>

#include "absl/strings/str_cat.h"
#include "common/philox.h"

namespace espalier::bench {
namespace {

constexpr int kStreamsPerConnection = 200;

std::string worker_id(int number) {
  PhiloxStream random(7, static_cast<uint32_t>(number));
  std::string id = "wrk_";
  for (int i = 0; i < 26; ++i) id += "0123456789abcdefghijklmnopqrstuvwxyz"[random.below(36)];
  return id;
}

}  // namespace

class WorkerFleet::Worker final : public grpc::ClientBidiReactor<v1::WorkerMessage, v1::CoordinatorMessage> {
 public:
  Worker(WorkerFleet& fleet, v1::WorkerService::Stub& stub, int number, int slots) : fleet_(fleet) {
    stub.async()->Attach(&context_, this);
    v1::Hello& hello = *message_.mutable_hello();
    hello.set_worker_id(worker_id(number));
    hello.set_epoch(static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch().count()));
    hello.set_host("bench");
    hello.set_address("127.0.0.1");
    hello.set_slots(slots);
    hello.set_base("nano");
    for (const int denoiser : {1, 2, 3}) hello.add_denoisers(static_cast<v1::Denoiser>(denoiser));
    writing_ = true;
    StartWrite(&message_);
    StartRead(&received_);
    StartCall();
  }

  void heartbeat() {
    const std::lock_guard lock(mutex_);
    if (writing_ || done_ || !welcome_) return;  // the one before is still on its way
    auto& beat = *message_.mutable_heartbeat();
    beat.Clear();
    for (const v1::TaskLease& lease : leases_) *beat.add_running() = lease;
    writing_ = true;
    ++fleet_.heartbeats_;
    StartWrite(&message_);
  }

  void end() {
    context_.TryCancel();
    std::unique_lock lock(mutex_);
    ended_.wait(lock, [this] { return done_; });
  }

 private:
  void OnWriteDone(bool) override {
    const std::lock_guard lock(mutex_);
    writing_ = false;
  }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    if (received_.has_welcome()) {
      fleet_.interval_ms_ = received_.welcome().heartbeat_interval_ms();
      ++fleet_.attached_;
    }
    {
      const std::lock_guard lock(mutex_);
      welcome_ |= received_.has_welcome();
      if (received_.has_assign_task()) {
        leases_.push_back(received_.assign_task().lease());
        ++fleet_.tasks_;
      }
      if (received_.has_cancel_task()) {
        const auto gone = std::erase_if(leases_, [this](const v1::TaskLease& lease) {
          return lease.task_id() == received_.cancel_task().lease().task_id();
        });
        fleet_.tasks_ -= static_cast<int>(gone);
      }
    }
    StartRead(&received_);
  }

  void OnDone(const grpc::Status&) override {
    const std::lock_guard lock(mutex_);
    done_ = true;
    ended_.notify_all();
  }

  WorkerFleet& fleet_;
  grpc::ClientContext context_;
  v1::CoordinatorMessage received_;
  std::mutex mutex_;  // guards all below
  std::condition_variable ended_;
  v1::WorkerMessage message_;
  std::vector<v1::TaskLease> leases_;
  bool writing_ = false, welcome_ = false, done_ = false;
};

WorkerFleet::WorkerFleet(const CoordinatorChild& coordinator, int workers, int slots) {
  for (int i = 0; i < workers; ++i) {
    if (i % kStreamsPerConnection == 0) {
      clients_.push_back(std::make_unique<Client>(coordinator.address(), coordinator.worker_key()));
    }
    workers_.emplace_back(*this, *clients_.back()->workers, i, slots);
  }
  heart_ = std::jthread([this](const std::stop_token& stop) { beat(stop); });
}

WorkerFleet::~WorkerFleet() {
  heart_.request_stop();
  heart_.join();
  for (Worker& worker : workers_) worker.end();
}

void WorkerFleet::beat(const std::stop_token& stop) {
  auto next = std::chrono::steady_clock::now();
  while (!stop.stop_requested()) {
    for (Worker& worker : workers_) {
      if (stop.stop_requested()) return;
      next += std::chrono::microseconds(interval_ms_ * 1000L / static_cast<long>(workers_.size()));
      std::this_thread::sleep_until(next);
      worker.heartbeat();
    }
  }
}

}  // namespace espalier::bench
