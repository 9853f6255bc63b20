#include "worker/agent.h"

#include <grpcpp/grpcpp.h>
#include <sys/sysinfo.h>

#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/cgroup.h"
#include "common/exit_codes.h"
#include "common/log.h"
#include "common/route.h"
#include "common/stoppable_wait.h"
#include "espalier/v1/artefacts.grpc.pb.h"
#include "espalier/v1/worker.grpc.pb.h"
#include "rpc/channel.h"
#include "rpc/status.h"
#include "worker/outbox.h"
#include "worker/task.h"
#include "worker/task_table.h"
#include "worker/workspace.h"

namespace espalier::worker {
namespace {

using Clock = std::chrono::steady_clock;
using Stream = grpc::ClientReaderWriterInterface<v1::WorkerMessage, v1::CoordinatorMessage>;

constexpr std::chrono::milliseconds kFirstPause{500};
constexpr std::chrono::milliseconds kLongestPause{10'000};
// How long a stopping worker tries to hand its tasks back before it gives up.
constexpr std::chrono::seconds kFarewell{20};

bool is_final(const Status& status) {
  return absl::IsFailedPrecondition(status) || absl::IsAborted(status) || absl::IsInvalidArgument(status) ||
         absl::IsUnauthenticated(status) || absl::IsPermissionDenied(status);
}

std::vector<v1::Device> devices_of(const WorkerConfig& config) {
  std::vector<v1::Device> devices;
  for (const auto& gpu : config.devices) devices.emplace_back().set_name(absl::StrCat("cuda:", gpu));
  if (!devices.empty()) return devices;
  auto& cpu = devices.emplace_back();
  cpu.set_name("cpu");
  struct sysinfo info;
  if (::sysinfo(&info) == 0) {
    const int64_t memory = static_cast<int64_t>(info.totalram) * info.mem_unit;
    cpu.set_memory_bytes(std::min(memory, cgroup_limits().memory_bytes.value_or(memory)));
  }
  return devices;
}

}  // namespace

struct Agent::Impl {
  WorkerConfig config;
  Identity identity;
  uint64_t epoch = 0;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::WorkerService::Stub> workers;
  std::unique_ptr<v1::ArtefactService::Stub> artefacts;
  Outbox outbox;
  std::unique_ptr<Workspace> workspace;
  std::unique_ptr<TaskTable> tasks;  // after what its threads use
};

// One life of the attach stream. Two threads use it, as gRPC allows: the reader takes what the coordinator says, the
// caller writes reports and heartbeats, and nobody else writes. Tasks outlive the session: they push into the outbox,
// which sends again on the next one what was not acked.
class Agent::Session {
 public:
  Session(Impl& agent, std::stop_token stop) : agent_(agent), stop_(std::move(stop)) {}

  // Returns when the stream has ended. OK only when it ended because the worker was stopped.
  Status run() {
    stream_ = agent_.workers->Attach(&context_);
    if (!greet()) return end(absl::UnavailableError("the coordinator closed the stream"));
    log_info("attached", {{"coordinator", agent_.config.coordinator}, {"worker", agent_.identity.worker_id}});
    std::jthread reader([this] { read_all(); });
    const bool said_farewell = write_all();
    if (said_farewell) stream_->WritesDone();
    context_.TryCancel();  // ends the reader
    reader.join();
    return said_farewell ? (stream_->Finish(), absl::OkStatus()) : end(absl::UnavailableError("the stream broke"));
  }

 private:
  bool greet() {
    v1::WorkerMessage message;
    auto& hello = *message.mutable_hello();
    hello.set_worker_id(agent_.identity.worker_id);
    hello.set_epoch(agent_.epoch);
    hello.set_host(host_name());
    hello.set_version("espalier-worker");
    hello.set_slots(agent_.config.slots);
    hello.set_base(agent_.identity.base);
    for (const auto denoiser : agent_.identity.denoisers) hello.add_denoisers(denoiser);
    for (auto& device : devices_of(agent_.config)) *hello.add_devices() = std::move(device);
    hello.set_address(agent_.config.advertise_address);
    for (auto& lease : agent_.tasks->leases(agent_.outbox.acked())) *hello.add_running() = std::move(lease);
    v1::CoordinatorMessage answer;
    if (!stream_->Write(message) || !stream_->Read(&answer) || !answer.has_welcome()) return false;
    agent_.outbox.rewind(answer.welcome().acked_seq());
    heartbeat_interval_ = std::chrono::milliseconds(std::clamp(answer.welcome().heartbeat_interval_ms(), 100, 60'000));
    return true;
  }

  void read_all() {
    v1::CoordinatorMessage message;
    while (stream_->Read(&message)) {
      if (message.has_ack()) agent_.outbox.acknowledge(message.ack().seq());
      if (message.has_assign_task()) agent_.tasks->assign(message.assign_task());
      if (message.has_cancel_task()) agent_.tasks->cancel(message.cancel_task());
      if (message.has_ack()) agent_.outbox.wake();  // the farewell may be complete
    }
    closed_ = true;
    agent_.outbox.wake();
  }

  // True: the worker was stopped, and everything it had to say is said.
  bool write_all() {
    auto next_heartbeat = Clock::now();
    Clock::time_point give_up = Clock::time_point::max();
    const std::stop_callback on_stop(stop_, [this] { agent_.outbox.wake(); });
    while (!closed_) {
      if (stop_.stop_requested() && give_up == Clock::time_point::max()) {
        agent_.tasks->stop_all();
        give_up = Clock::now() + agent_.config.stop_grace + kFarewell;
        next_heartbeat = Clock::now();  // says at once that we are draining
      }
      if (const auto message = agent_.outbox.next(next_heartbeat)) {
        if (!stream_->Write(*message)) return false;
      }
      const auto leases = agent_.tasks->leases(agent_.outbox.acked());
      if (stop_.stop_requested() && leases.empty() && agent_.outbox.empty()) return true;
      if (Clock::now() >= give_up) return true;
      if (Clock::now() < next_heartbeat) continue;
      if (!stream_->Write(heartbeat(leases))) return false;
      next_heartbeat = Clock::now() + heartbeat_interval_;
    }
    return false;
  }

  v1::WorkerMessage heartbeat(const std::vector<v1::TaskLease>& leases) const {
    v1::WorkerMessage message;
    auto& heartbeat = *message.mutable_heartbeat();
    for (const auto& lease : leases) *heartbeat.add_running() = lease;
    heartbeat.set_draining(stop_.stop_requested());
    return message;
  }

  Status end(const Status& otherwise) {
    const Status status = from_grpc(stream_->Finish());
    return status.ok() || absl::IsCancelled(status) ? otherwise : status;
  }

  Impl& agent_;
  std::stop_token stop_;
  grpc::ClientContext context_;
  std::unique_ptr<Stream> stream_;
  std::chrono::milliseconds heartbeat_interval_{1000};
  std::atomic<bool> closed_ = false;  // the reader has seen the end
};

Agent::Agent(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Agent::~Agent() = default;

Result<std::unique_ptr<Agent>> Agent::create(WorkerConfig config) {
  ESP_TRY(complete(config));
  auto impl = std::make_unique<Impl>();
  ESP_ASSIGN(impl->identity, load_identity(config));
  impl->epoch = static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
          .count());
  ESP_ASSIGN(const auto security, channel_security(config));
  ESP_ASSIGN(impl->channel, open_channel(config.coordinator, security));
  impl->workers = v1::WorkerService::NewStub(impl->channel);
  impl->artefacts = v1::ArtefactService::NewStub(impl->channel);
  impl->config = std::move(config);
  impl->workspace = std::make_unique<Workspace>(impl->config.data_dir, impl->config.disk_limit.count);
  impl->workspace->trim();
  impl->tasks = std::make_unique<TaskTable>(
      [raw = impl.get()](const v1::AssignTask& task, const Report& report, const TaskControl& control) {
        run_task({raw->config, *raw->artefacts, *raw->workspace}, task, report, control);
      },
      impl->outbox);
  return std::unique_ptr<Agent>(new Agent(std::move(impl)));
}

Status Agent::run(std::stop_token stop) {
  auto pause = kFirstPause;
  while (!stop.stop_requested()) {
    const auto began = Clock::now();
    const Status status = Session(*impl_, stop).run();
    if (status.ok()) return status;
    if (is_final(status)) {
      return with_exit_code(annotate(status, absl::StrCat("coordinator ", impl_->config.coordinator)), kExitRefused);
    }
    if (Clock::now() - began > kLongestPause) pause = kFirstPause;  // it had worked for a while
    log_warning("not attached", {{"err", std::string(status.message())}, {"retry_ms", pause.count()}});
    wait_unless_stopped(pause, stop);
    pause = std::min(pause * 2, kLongestPause);
  }
  return absl::OkStatus();  // the table stops what still runs; the coordinator learns it from the expired leases
}

}  // namespace espalier::worker
