#pragma once

#include "coordinator/config.h"
#include "espalier/v1/worker.pb.h"

namespace espalier::coordinator {

// `grace` is for CANCEL_REASON_BY_USER; an attempt that was lost is stopped at once.
v1::CoordinatorMessage cancel_message(const v1::TaskLease& lease, v1::CancelReason reason, Milliseconds grace);

}  // namespace espalier::coordinator
