#include "nn/layers/parallel.h"

#include <torch/csrc/stable/c/shim.h>

#include <stdexcept>

namespace espalier::nn {

void parallel_for(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& work) {
  const auto call = [](int64_t begin, int64_t end, void* context) {
    (*static_cast<const std::function<void(int64_t, int64_t)>*>(context))(begin, end);
  };
  void* const context = const_cast<void*>(static_cast<const void*>(&work));
  if (torch_parallel_for(0, count, grain, call, context) != AOTI_TORCH_SUCCESS) {
    throw std::runtime_error("a part of a parallel loop failed; its reason is in the log");
  }
}

}  // namespace espalier::nn
