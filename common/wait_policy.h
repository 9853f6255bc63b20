#pragma once

namespace espalier {

// OpenMP's threads wait for work by spinning unless told otherwise, which costs the cores of everything else: with two
// programs on a machine both become many times slower. OpenMP reads OMP_WAIT_POLICY when it is loaded, before main, so
// this starts the program anew in place with PASSIVE when the variable is not set. Call it first thing in main.
void let_waiting_threads_sleep(char** argv);

}  // namespace espalier
