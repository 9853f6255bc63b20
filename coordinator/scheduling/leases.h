#pragma once

#include "common/status.h"
#include "coordinator/jobs/records.h"

namespace soci {
class session;
}

namespace espalier::coordinator {

// The task of `lease` when the lease is its newest, it is running, and the lease's member has not ended. ABORTED with
// reason LEASE_LOST otherwise.
Result<TaskRecord> task_of_current_lease(soci::session& sql, const v1::TaskLease& lease);

// The artefact when the holder of the lease may read it: the task's job made it, or reads it as its source or dataset.
// NOT_FOUND for every other one, also of the same tenant. Else as task_of_current_lease.
Result<ArtefactRecord> input_of_current_lease(soci::session& sql, const v1::TaskLease& lease,
                                              const std::string& artefact_id);

}  // namespace espalier::coordinator
