#include "coordinator/scheduling/leases.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "coordinator/jobs/catalogue_repository.h"
#include "coordinator/jobs/job_repository.h"
#include "coordinator/jobs/task_repository.h"
#include "coordinator/storage/artefact_repository.h"
#include "rpc/status.h"

namespace espalier::coordinator {

Result<TaskRecord> task_of_current_lease(soci::session& sql, const v1::TaskLease& lease) {
  auto task = TaskRepository(sql).find(lease.task_id());
  const auto speaks = [&](const MemberRecord& member) {
    return member.member == lease.member() && member.state != MemberState::kReserved;
  };
  const bool current = task.ok() && task->state == v1::STAGE_STATE_RUNNING && task->attempt == lease.attempt() &&
                       static_cast<uint64_t>(task->fencing_token) == lease.fencing_token() &&
                       std::any_of(task->members.begin(), task->members.end(), speaks);
  if (current) return task;
  if (!task.ok() && !absl::IsNotFound(task.status())) return task.status();
  return with_reason(absl::AbortedError(absl::StrCat("task ", lease.task_id(), ": attempt ", lease.attempt(),
                                                     " is no longer the current one")),
                     "LEASE_LOST");
}

Result<ArtefactRecord> input_of_current_lease(soci::session& sql, const v1::TaskLease& lease,
                                              const std::string& artefact_id) {
  ESP_ASSIGN(const TaskRecord task, task_of_current_lease(sql, lease));
  ESP_ASSIGN(ArtefactRecord artefact, ArtefactRepository(sql).find(artefact_id, task.tenant_id));
  if (artefact.job_id == task.job_id) return artefact;
  ESP_ASSIGN(const JobRecord job, JobRepository(sql).find(task.job_id, task.tenant_id));
  if (job.spec.artefact_id() == artefact_id) return artefact;
  const auto dataset = CatalogueRepository(sql).find_dataset(job.dataset_id, task.tenant_id);
  if (dataset.ok() && dataset->artefact_id() == artefact_id) return artefact;
  return absl::NotFoundError(absl::StrCat("no artefact ", artefact_id));
}

}  // namespace espalier::coordinator
