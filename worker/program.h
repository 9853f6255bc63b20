#pragma once

namespace espalier::worker {

// The whole program. Returns the exit code: 0 stopped, 2 wrong settings, 3 refused by the coordinator.
int run_program(int argc, char** argv);

}  // namespace espalier::worker
