#include "tests/faults/simulated_worker.h"

#include <algorithm>

#include "rpc/status.h"

namespace espalier::faults {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kPace{4};  // between two small steps
constexpr milliseconds kPatience{3000};
constexpr milliseconds kReconnectPause{30};

void nap(milliseconds duration, const std::stop_token& stop) {
  const auto end = Clock::now() + duration;
  while (Clock::now() < end && !stop.stop_requested()) std::this_thread::sleep_for(milliseconds(2));
}

uint64_t now_us() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(now).count());
}

std::string id_of(uint64_t seed, size_t number) {
  PhiloxStream random(seed, 2, static_cast<uint32_t>(number));
  std::string id = "wrk_";
  for (int i = 0; i < 26; ++i) id += "0123456789abcdefghijklmnopqrstuvwxyz"[random.below(36)];
  return id;
}

// One attach stream; a thread reads it.
class Stream {
 public:
  Stream(const Connection& connection) {
    stream_ = connection.workers->Attach(&context_);
    reader_ = std::jthread([this] { read_all(); });
  }
  ~Stream() {
    context_.TryCancel();
    reader_.join();
    stream_->Finish();
  }

  bool write(const v1::WorkerMessage& message) { return stream_->Write(message); }
  bool ended() {
    const std::lock_guard lock(mutex_);
    return ended_ && received_.empty();
  }
  // The next message within `patience`.
  std::optional<v1::CoordinatorMessage> next(milliseconds patience) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, patience, [this] { return ended_ || !received_.empty(); });
    if (received_.empty()) return std::nullopt;
    v1::CoordinatorMessage message = std::move(received_.front());
    received_.pop_front();
    return message;
  }

 private:
  void read_all() {
    v1::CoordinatorMessage message;
    while (stream_->Read(&message)) {
      const std::lock_guard lock(mutex_);
      received_.push_back(std::move(message));
      changed_.notify_one();
    }
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_one();
  }

  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::WorkerMessage, v1::CoordinatorMessage>> stream_;
  std::mutex mutex_;  // guards the two below
  std::condition_variable changed_;
  std::deque<v1::CoordinatorMessage> received_;
  bool ended_ = false;
  std::jthread reader_;
};

}  // namespace

class SimulatedWorker::Life {
 public:
  Life(SimulatedWorker& worker, std::stop_token stop)
      : worker_(worker), world_(worker.world_), stop_(std::move(stop)), epoch_(now_us()) {}

  // Until an order ends it; how long the machine then stays away, nothing for ever.
  std::optional<milliseconds> run() {
    while (!stop_.stop_requested()) {
      if (!attach()) {
        nap(kReconnectPause, stop_);
      } else {
        while (!stop_.stop_requested() && !stream_->ended()) {
          if (auto end = obey()) return end->forever ? std::nullopt : std::optional(end->away);
          if (!step()) break;
        }
      }
      stream_.reset();
      if (auto end = obey()) return end->forever ? std::nullopt : std::optional(end->away);
    }
    return std::nullopt;
  }

 private:
  struct End {
    bool forever;
    milliseconds away;
  };

  std::optional<End> obey() {
    const auto [order, duration] = worker_.take_order();
    switch (order) {
      case Order::kNone:
        return std::nullopt;
      case Order::kDrop:
        stream_.reset();
        if (!attach()) nap(kReconnectPause, stop_);
        return std::nullopt;
      case Order::kHang:
        hang(duration);
        return std::nullopt;
      case Order::kStop:
        hand_everything_back();
        return End{false, duration};
      case Order::kKill:
      case Order::kLose:
        for (auto& task : tasks_) world_.counters.member_deaths += task->abandon() ? 1 : 0;
        stream_.reset();
        return End{order == Order::kLose, duration};
    }
    return std::nullopt;
  }

  // Hello, then the welcome. True also when the stream has ended since: the caller looks.
  bool attach() {
    connection_ = std::make_unique<Connection>(world_.address, world_.worker_key);
    stream_ = std::make_unique<Stream>(*connection_);
    v1::WorkerMessage message;
    v1::Hello& hello = *message.mutable_hello();
    hello.set_worker_id(worker_.machine_.worker_id);
    hello.set_epoch(epoch_);
    hello.set_host("simulated");
    hello.set_address("127.0.0.1");
    hello.set_slots(worker_.machine_.plan.slots);
    hello.set_base("nano");
    for (const int denoiser : {1, 2, 3}) hello.add_denoisers(static_cast<v1::Denoiser>(denoiser));
    *hello.add_devices() = device();
    for (const v1::TaskLease& lease : leases()) *hello.add_running() = lease;
    if (!stream_->write(message)) return false;
    const auto answer = stream_->next(kPatience);
    if (!answer || !answer->has_welcome()) return false;
    if (answer->welcome().acked_seq() < outbox_.acked()) {
      world_.violation("lost", "reports were acknowledged and are forgotten");
    }
    outbox_.rewind(answer->welcome().acked_seq());
    heartbeat_interval_ = milliseconds(answer->welcome().heartbeat_interval_ms());
    next_heartbeat_ = Clock::now();
    return true;
  }

  static v1::Device device() {
    v1::Device device;
    device.set_name("simulated");
    device.set_memory_bytes(int64_t{1} << 30);
    return device;
  }

  // Everything there is to do now, once. False: the stream has to be opened anew.
  bool step() {
    while (const auto message = stream_->next(milliseconds(0))) handle(*message);
    if (Clock::now() >= next_heartbeat_ && !heartbeat(false)) return false;
    if (!tasks_.empty()) random_task().advance(*connection_);
    forget_acknowledged();
    if (!send_reports()) return false;
    if (const auto message = stream_->next(kPace)) handle(*message);
    return true;
  }

  void handle(const v1::CoordinatorMessage& message) {
    if (message.has_ack()) outbox_.acknowledge(message.ack().seq());
    if (message.has_assign_task()) assign(message.assign_task());
    if (message.has_cancel_task()) cancel(message.cancel_task());
  }

  void assign(const v1::AssignTask& assignment) {
    for (const auto& task : tasks_) {
      if (task->lease().task_id() != assignment.lease().task_id()) continue;
      if (task->lease().fencing_token() > assignment.lease().fencing_token()) {
        world_.violation("wrong", "an older lease of a task came after a newer one");
      }
    }
    drop([&](const SimulatedTask& task) {
      return task.lease().task_id() == assignment.lease().task_id() &&
             task.lease().fencing_token() < assignment.lease().fencing_token();
    });
    tasks_.push_back(std::make_unique<SimulatedTask>(world_, worker_.machine_, assignment,
                                                     [this](v1::WorkerMessage report) { return push(report); }));
  }

  uint64_t push(const v1::WorkerMessage& report) { return outbox_.push(report); }

  void cancel(const v1::CancelTask& cancel) {
    const auto same = [&](const SimulatedTask& task) {
      return task.lease().task_id() == cancel.lease().task_id() && task.lease().member() == cancel.lease().member() &&
             task.lease().fencing_token() <= cancel.lease().fencing_token();
    };
    if (cancel.reason() == v1::CANCEL_REASON_LEASE_LOST) return drop(same);
    for (const auto& task : tasks_) {
      if (same(*task)) task->hand_back();
    }
  }

  template <class Which>
  void drop(const Which& which) {
    for (const auto& task : tasks_) {
      if (which(*task)) task->abandon();
    }
    std::erase_if(tasks_, [&](const auto& task) { return which(*task); });
  }

  void forget_acknowledged() {
    std::erase_if(tasks_, [this](const auto& task) {
      return task->finished_seq() != 0 && task->finished_seq() <= outbox_.acked();
    });
  }

  SimulatedTask& random_task() { return *tasks_[random().below(static_cast<uint32_t>(tasks_.size()))]; }
  PhiloxStream& random() { return worker_.machine_.random; }

  std::vector<v1::TaskLease> leases() const {
    std::vector<v1::TaskLease> out;
    for (const auto& task : tasks_) out.push_back(task->lease());
    return out;
  }

  bool heartbeat(bool draining) {
    v1::WorkerMessage message;
    message.mutable_heartbeat()->set_draining(draining);
    for (const v1::TaskLease& lease : leases()) *message.mutable_heartbeat()->add_running() = lease;
    next_heartbeat_ = Clock::now() + heartbeat_interval_;
    return stream_->write(message);
  }

  // In order and once; or, as the plan says, twice, or the second before the first, which must be refused.
  bool send_reports() {
    while (auto report = outbox_.next(Clock::now())) {
      if (random().uniform() < worker_.machine_.plan.swapped) {
        const auto second = outbox_.next(Clock::now());
        if (second) {
          ++world_.counters.swapped_reports;
          return stream_->write(*second) && stream_->write(*report);
        }
      }
      if (!stream_->write(*report)) return false;
      if (random().uniform() >= worker_.machine_.plan.duplicated) continue;
      ++world_.counters.duplicated_reports;
      if (!stream_->write(*report)) return false;
    }
    return true;
  }

  // Nothing is read, sent or renewed; afterwards it goes on as if no time had passed.
  void hang(milliseconds duration) {
    nap(duration, stop_);
    if (duration < kLease) return;
    for (auto& task : tasks_) task->finish_late(*connection_);
    if (stream_) send_reports();
  }

  // What a worker does at SIGTERM.
  void hand_everything_back() {
    if (stream_ && !stream_->ended()) heartbeat(/*draining=*/true);
    for (auto& task : tasks_) task->hand_back();
    const auto end = Clock::now() + kPatience;
    while (!outbox_.empty() && Clock::now() < end && !stop_.stop_requested()) {
      const bool open = stream_ && !stream_->ended() && send_reports();
      if (!open && !attach()) nap(kReconnectPause, stop_);
      while (const auto message = stream_->next(kPace)) {
        if (message->has_ack()) outbox_.acknowledge(message->ack().seq());
      }
    }
    stream_.reset();
  }

  SimulatedWorker& worker_;
  World& world_;
  const std::stop_token stop_;
  const uint64_t epoch_;
  worker::Outbox outbox_;
  std::vector<std::unique_ptr<SimulatedTask>> tasks_;
  std::unique_ptr<Connection> connection_;
  std::unique_ptr<Stream> stream_;
  milliseconds heartbeat_interval_{100};
  Clock::time_point next_heartbeat_;
};

SimulatedWorker::SimulatedWorker(World& world, size_t number)
    : world_(world),
      machine_{id_of(world.plan.seed, number),
               world.plan.workers.at(number),
               {},
               PhiloxStream(world.plan.seed, 3, static_cast<uint32_t>(number))} {
  thread_ = std::jthread([this](const std::stop_token& stop) { live(stop); });
}

SimulatedWorker::~SimulatedWorker() = default;

void SimulatedWorker::live(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const auto away = Life(*this, stop).run();
    if (!away) return;
    if (!machine_.plan.keeps_disk) machine_.disk.clear();
    nap(*away, stop);
  }
}

void SimulatedWorker::give(Order order, milliseconds duration) {
  const std::lock_guard lock(mutex_);
  order_ = order;
  duration_ = duration;
}

std::pair<SimulatedWorker::Order, milliseconds> SimulatedWorker::take_order() {
  const std::lock_guard lock(mutex_);
  return {std::exchange(order_, Order::kNone), duration_};
}

void SimulatedWorker::kill(milliseconds until_restart) { give(Order::kKill, until_restart); }
void SimulatedWorker::lose() { give(Order::kLose, {}); }
void SimulatedWorker::stop(milliseconds until_restart) { give(Order::kStop, until_restart); }
void SimulatedWorker::drop_stream() { give(Order::kDrop, {}); }
void SimulatedWorker::hang(milliseconds duration) { give(Order::kHang, duration); }

}  // namespace espalier::faults
