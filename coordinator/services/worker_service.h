#pragma once

#include <memory>
#include <mutex>
#include <set>

#include "coordinator/metrics/worker_board.h"
#include "coordinator/scheduling/scheduler.h"
#include "coordinator/tenants/gate.h"
#include "espalier/v1/worker.grpc.pb.h"

namespace espalier::coordinator {

// WorkerService: one Attach stream per worker, between the network and the scheduler.
class WorkerServiceHandler final : public v1::WorkerService::Service {
 public:
  WorkerServiceHandler(Gate& gate, Scheduler& scheduler, WorkerBoard& workers)
      : gate_(gate), scheduler_(scheduler), workers_(workers) {}
  using Stream = grpc::ServerReaderWriter<v1::CoordinatorMessage, v1::WorkerMessage>;

  grpc::Status Attach(grpc::ServerContext* context, Stream* stream) override;
  // Ends all streams with UNAVAILABLE and refuses new ones.
  void close();

 private:
  class StreamLink;
  Status attach(const Caller& caller, grpc::ServerContext& context, Stream& stream);
  Status serve(const Caller& caller, Stream& stream, const std::shared_ptr<StreamLink>& link);

  Gate& gate_;
  Scheduler& scheduler_;
  WorkerBoard& workers_;
  std::mutex mutex_;  // guards the two below
  std::set<std::shared_ptr<StreamLink>> links_;
  bool closed_ = false;
};

}  // namespace espalier::coordinator
