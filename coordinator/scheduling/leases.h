#pragma once

#include "common/status.h"
#include "coordinator/jobs/records.h"

namespace soci {
class session;
}

namespace espalier::coordinator {

// The task of `lease` when the lease is its newest and it is running. ABORTED with reason LEASE_LOST otherwise.
Result<TaskRecord> task_of_current_lease(soci::session& sql, const v1::TaskLease& lease);

}  // namespace espalier::coordinator
