#include "coordinator/scheduling/messages.h"

namespace espalier::coordinator {

v1::CoordinatorMessage cancel_message(const v1::TaskLease& lease, v1::CancelReason reason, Milliseconds grace) {
  v1::CoordinatorMessage message;
  auto* cancel = message.mutable_cancel_task();
  *cancel->mutable_lease() = lease;
  cancel->set_reason(reason);
  cancel->set_grace_ms(reason == v1::CANCEL_REASON_LEASE_LOST ? 0 : static_cast<int>(grace.count()));
  return message;
}

}  // namespace espalier::coordinator
