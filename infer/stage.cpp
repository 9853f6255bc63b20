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

void Stopwatch::lap(const char* stage) {
  const auto now = std::chrono::steady_clock::now();
  seconds_.emplace_back(stage, std::chrono::duration<double>(now - last_).count());
  last_ = now;
}

}  // namespace espalier::infer
