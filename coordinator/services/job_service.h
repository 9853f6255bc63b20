#pragma once

#include "coordinator/jobs/change_board.h"
#include "coordinator/jobs/job_desk.h"
#include "coordinator/retention/removal_desk.h"
#include "coordinator/tenants/gate.h"
#include "espalier/v1/jobs.grpc.pb.h"

namespace espalier::coordinator {

// JobService in front of the JobDesk. Streams end with UNAVAILABLE when the board is closed.
class JobServiceHandler final : public v1::JobService::Service {
 public:
  JobServiceHandler(Gate& gate, JobDesk& desk, RemovalDesk& removal, ChangeBoard& changes)
      : gate_(gate), desk_(desk), removal_(removal), changes_(changes) {}

  grpc::Status SubmitJob(grpc::ServerContext*, const v1::SubmitJobRequest*, v1::SubmitJobResponse*) override;
  grpc::Status GetJob(grpc::ServerContext*, const v1::GetJobRequest*, v1::GetJobResponse*) override;
  grpc::Status ListJobs(grpc::ServerContext*, const v1::ListJobsRequest*, v1::ListJobsResponse*) override;
  grpc::Status WatchJob(grpc::ServerContext*, const v1::WatchJobRequest*, grpc::ServerWriter<v1::JobEvent>*) override;
  grpc::Status DeleteJob(grpc::ServerContext*, const v1::DeleteJobRequest*, v1::DeleteJobResponse*) override;
  grpc::Status CancelJob(grpc::ServerContext*, const v1::CancelJobRequest*, v1::CancelJobResponse*) override;
  grpc::Status EstimateJob(grpc::ServerContext*, const v1::EstimateJobRequest*, v1::EstimateJobResponse*) override;
  grpc::Status ListJobLogs(grpc::ServerContext*, const v1::ListJobLogsRequest*, v1::ListJobLogsResponse*) override;
  grpc::Status StreamJobLogs(grpc::ServerContext*, const v1::StreamJobLogsRequest*,
                             grpc::ServerWriter<v1::LogLine>*) override;
  grpc::Status ListJobMetrics(grpc::ServerContext*, const v1::ListJobMetricsRequest*,
                              v1::ListJobMetricsResponse*) override;

 private:
  Gate& gate_;
  JobDesk& desk_;
  RemovalDesk& removal_;
  ChangeBoard& changes_;
};

}  // namespace espalier::coordinator
