#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "tests/faults/world.h"

namespace espalier::faults {

struct Verdict {
  std::map<std::string, int> violations;  // by kind; empty: every promise was kept
  std::string report;                     // seed, plan and timeline
};

// Plays a plan against a coordinator of its own, on its own data folder and loopback address, and checks what came out.
// Blocks for seconds; several plans of different seeds may run at once.
Verdict run_scenario(const Plan& plan, Counters& counters);

}  // namespace espalier::faults
