#pragma once

namespace espalier::nn {

// LibTorch's threads in this program: OMP_NUM_THREADS where it is set, else usable_cores(); LibTorch itself counts the
// machine's processors. Call it at the beginning of main.
void use_available_cores();

}  // namespace espalier::nn
