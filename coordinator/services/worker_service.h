#pragma once

#include <memory>
#include <mutex>
#include <set>

#include "coordinator/scheduling/scheduler.h"
#include "espalier/v1/worker.grpc.pb.h"

namespace espalier::coordinator {

// WorkerService: one Attach stream per worker, between the network and the scheduler.
class WorkerServiceHandler final : public v1::WorkerService::Service {
 public:
  explicit WorkerServiceHandler(Scheduler& scheduler) : scheduler_(scheduler) {}
  using Stream = grpc::ServerReaderWriter<v1::CoordinatorMessage, v1::WorkerMessage>;

  grpc::Status Attach(grpc::ServerContext* context, Stream* stream) override;
  // Ends all streams with UNAVAILABLE and refuses new ones.
  void close();

 private:
  class StreamLink;
  Status serve(Stream& stream, const std::shared_ptr<StreamLink>& link);

  Scheduler& scheduler_;
  std::mutex mutex_;  // guards the two below
  std::set<std::shared_ptr<StreamLink>> links_;
  bool closed_ = false;
};

}  // namespace espalier::coordinator
