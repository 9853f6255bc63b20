#pragma once

#include <torch/csrc/distributed/c10d/Store.hpp>

#include "common/status.h"
#include "train/distributed/backends.h"

namespace espalier::train::distributed {

// Where the ranks find each other: in memory for a group of one, else a TCP store on rank 0, which listens on
// address.host only (on all addresses when the host is none of this machine's own, as behind address translation).
// Returns when all ranks are there. UNAVAILABLE, DEADLINE_EXCEEDED: see Collective::connect.
Result<c10::intrusive_ptr<c10d::Store>> meet(const GroupAddress& address, const OnListening& on_listening);

}  // namespace espalier::train::distributed
