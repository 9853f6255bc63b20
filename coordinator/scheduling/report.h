#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/status.h"
#include "coordinator/jobs/lifecycle.h"
#include "coordinator/jobs/records.h"

namespace espalier::coordinator {

// The lease that a report speaks for; nothing for hello, heartbeat and an empty message.
const v1::TaskLease* lease_of(const v1::WorkerMessage& message);
// Reports that may wait up to a second before they are stored.
bool is_bufferable(const v1::WorkerMessage& message);

// Applies reports of current leases to their jobs in one transaction.
class ReportApplier {
 public:
  ReportApplier(soci::session& sql, Lifecycle& lifecycle, long long now_us)
      : sql_(sql), lifecycle_(lifecycle), now_us_(now_us) {}

  // INVALID_ARGUMENT never comes out: a result that makes no sense fails the attempt instead.
  Status apply(const v1::WorkerMessage& message, JobRecord& job, TaskRecord& task);

 private:
  Status finished(const v1::TaskFinished& report, JobRecord& job, TaskRecord& task);
  Status rendezvous(const v1::RendezvousReady& report, JobRecord& job, TaskRecord& task);
  // Fails the attempt when `status` says that the worker's result cannot be.
  Status unless_unusable(const Status& status, JobRecord& job, TaskRecord& task);
  Status outcome(const v1::TaskFinished& report, JobRecord& job, TaskRecord& task);
  Status training_progress(const v1::TaskTrainingProgress& report, JobRecord& job, TaskRecord& task);
  Status preparation_progress(const v1::TaskPreparationProgress& report, JobRecord& job, TaskRecord& task);
  Status object_failed(const v1::TaskObjectFailed& report, JobRecord& job);
  Status validation(const v1::TaskValidation& report, JobRecord& job, const TaskRecord& task);
  Status evaluation_progress(const v1::TaskEvaluationProgress& report, JobRecord& job, TaskRecord& task);
  Status adapter_stored(const v1::AdapterStored& report, JobRecord& job, TaskRecord& task);
  Status logs(const v1::TaskLogs& report, JobRecord& job, const TaskRecord& task);
  void emit(JobRecord& job, const v1::JobEvent& event);

  soci::session& sql_;
  Lifecycle& lifecycle_;
  const long long now_us_;
};

}  // namespace espalier::coordinator
