#pragma once

#include <filesystem>
#include <vector>

#include "tests/faults/tenant_client.h"
#include "tests/faults/world.h"

namespace espalier::faults {

// Compares what tenants have received with what the plan says must come out.
void audit_outcomes(World& world, const std::vector<JobOutcome>& outcomes);

// Reads what a stopped coordinator has left on disk: attempts, leases, artefacts and the ledger must agree with each
// other and with the outcomes.
void audit_storage(World& world, const std::filesystem::path& data_dir, const std::vector<JobOutcome>& outcomes);

}  // namespace espalier::faults
