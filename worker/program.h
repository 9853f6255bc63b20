#pragma once

namespace espalier::worker {

// The whole program. Returns the exit code (common/exit_codes.h).
int run_program(int argc, char** argv);

}  // namespace espalier::worker
