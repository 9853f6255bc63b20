#pragma once

#include <filesystem>

#include "tests/faults/world.h"

namespace espalier::faults {

// Makes the tenants of the plan with a key and credit each, as the owner of the installation does, and takes the
// worker's key. For a coordinator that runs; waits until it answers.
Status make_tenants(World& world, const std::filesystem::path& data_dir);

}  // namespace espalier::faults
