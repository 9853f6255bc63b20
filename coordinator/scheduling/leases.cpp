#include "coordinator/scheduling/leases.h"

#include "absl/strings/str_cat.h"
#include "coordinator/jobs/task_repository.h"
#include "rpc/status.h"

namespace espalier::coordinator {

Result<TaskRecord> task_of_current_lease(soci::session& sql, const v1::TaskLease& lease) {
  auto task = TaskRepository(sql).find(lease.task_id());
  const bool current = task.ok() && task->state == v1::STAGE_STATE_RUNNING && task->attempt == lease.attempt() &&
                       static_cast<uint64_t>(task->fencing_token) == lease.fencing_token();
  if (current) return task;
  if (!task.ok() && !absl::IsNotFound(task.status())) return task.status();
  return with_reason(absl::AbortedError(absl::StrCat("task ", lease.task_id(), ": attempt ", lease.attempt(),
                                                     " is no longer the current one")),
                     "LEASE_LOST");
}

}  // namespace espalier::coordinator
