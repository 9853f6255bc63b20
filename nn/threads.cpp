#include "nn/threads.h"

#include <ATen/Parallel.h>

#include <cstdlib>

#include "common/cores.h"

namespace espalier::nn {

void use_available_cores() {
  if (std::getenv("OMP_NUM_THREADS") == nullptr) at::set_num_threads(usable_cores());
}

}  // namespace espalier::nn
