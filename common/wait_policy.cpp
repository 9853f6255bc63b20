#include "common/wait_policy.h"

#include <unistd.h>

#include <cstdlib>

namespace espalier {

void let_waiting_threads_sleep(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  ::setenv("OMP_WAIT_POLICY", "PASSIVE", 1);
  ::execv("/proc/self/exe", argv);  // returns only when it fails: then the threads spin
}

}  // namespace espalier
