#pragma once

namespace espalier::infer {

// The program espalier-infer: without a subcommand it generates one object from one image, `serve` runs the service.
// Returns the exit code (common/events.h). The results of the one-shot form go to files, its summary to stdout, faults
// to stderr with the option they belong to.
int run_program(int argc, char** argv);

}  // namespace espalier::infer
