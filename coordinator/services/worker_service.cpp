#include "coordinator/services/worker_service.h"

#include <condition_variable>
#include <deque>
#include <optional>
#include <thread>

#include "rpc/status.h"

namespace espalier::coordinator {

// Messages to one worker, written by a thread of their own so that the scheduler never waits for the network.
class WorkerServiceHandler::StreamLink final : public WorkerLink {
 public:
  StreamLink(grpc::ServerContext& context, Stream& stream) : context_(context), stream_(stream) {
    writer_ = std::thread([this] { write_all(); });
  }
  ~StreamLink() override = default;

  void send(v1::CoordinatorMessage message) override {
    const std::lock_guard lock(mutex_);
    if (done_) return;
    queue_.push_back(std::move(message));
    changed_.notify_one();
  }

  void close(const Status& why) override {
    const std::lock_guard lock(mutex_);
    if (done_) return;
    if (!why_) why_ = why;
    context_.TryCancel();  // wakes the reader
    changed_.notify_one();
  }

  // Ends the writer. The context and the stream are not used any more afterwards.
  void join() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
      changed_.notify_one();
    }
    writer_.join();
  }

  std::optional<Status> why() {
    const std::lock_guard lock(mutex_);
    return why_;
  }

 private:
  void write_all() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return done_ || why_ || !queue_.empty(); });
      if (done_ || why_) return;
      const v1::CoordinatorMessage message = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      const bool written = stream_.Write(message);
      lock.lock();
      if (!written) return;
    }
  }

  grpc::ServerContext& context_;
  Stream& stream_;
  std::mutex mutex_;  // guards the four below
  std::condition_variable changed_;
  std::deque<v1::CoordinatorMessage> queue_;
  std::optional<Status> why_;
  bool done_ = false;
  std::thread writer_;
};

grpc::Status WorkerServiceHandler::Attach(grpc::ServerContext* context, Stream* stream) {
  return gate_.admit<v1::WorkerMessage>(*context,
                                        [&](const Caller& caller) { return attach(caller, *context, *stream); });
}

Status WorkerServiceHandler::attach(const Caller& caller, grpc::ServerContext& context, Stream& stream) {
  const auto link = std::make_shared<StreamLink>(context, stream);
  bool refused = false;
  {
    const std::lock_guard lock(mutex_);
    refused = closed_;
    if (!refused) links_.insert(link);
  }
  Status status =
      refused ? absl::UnavailableError("the coordinator is stopping: attach again") : serve(caller, stream, link);
  link->join();
  const std::lock_guard lock(mutex_);
  links_.erase(link);
  return link->why().value_or(status);
}

Status WorkerServiceHandler::serve(const Caller& caller, Stream& stream, const std::shared_ptr<StreamLink>& link) {
  v1::WorkerMessage message;
  if (!stream.Read(&message) || !message.has_hello()) {
    return absl::FailedPreconditionError("the first message of a stream must be hello");
  }
  ESP_ASSIGN(const uint64_t ticket, scheduler_.attach(message.hello(), link));
  WorkerBoard::Entry entry(workers_, message.hello());
  Status status;
  while (status.ok() && stream.Read(&message)) {
    entry.heard(message);
    status = gate_.recheck(caller);
    if (status.ok()) status = scheduler_.receive(ticket, message);
  }
  scheduler_.detach(ticket);
  return status;
}

void WorkerServiceHandler::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  for (const auto& link : links_) link->close(absl::UnavailableError("the coordinator is stopping: attach again"));
}

}  // namespace espalier::coordinator
