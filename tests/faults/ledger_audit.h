#pragma once

#include <vector>

#include "tests/faults/tenant_client.h"
#include "tests/faults/world.h"

namespace espalier::faults {

// Asks the running coordinator for its books: everything balances, every job has one hold that is gone, one capture and
// one usage event per line of its cost and nothing else.
void audit_ledger(World& world, const std::vector<JobOutcome>& outcomes);

}  // namespace espalier::faults
