#include "infer/stage.h"

#include <ATen/CPUGeneratorImpl.h>
#include <torch/types.h>

namespace espalier::infer {

Noise seeded_noise(uint64_t seed) {
  return [generator = at::detail::createCPUGenerator(seed)](const std::vector<int64_t>& shape) {
    return torch::randn(shape, generator, torch::kFloat32);
  };
}

Status StageHooks::check_stop() const {
  return stop.stop_requested() ? absl::CancelledError("stopped on request") : absl::OkStatus();
}

SamplerHooks StageHooks::sampler(std::string_view stage) const {
  SamplerHooks hooks;
  hooks.stop = stop;
  if (progress) {
    hooks.progress = [this, stage](int done, int total) { progress(stage, done, total); };
  }
  return hooks;
}

}  // namespace espalier::infer
