#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string_view>
#include <vector>

#include "infer/samplers/flow_euler.h"

// What every stage of a generation is given.
namespace espalier::infer {

// Standard normal float32 numbers on the CPU. One source serves a whole request, in the order of the stages.
using Noise = std::function<at::Tensor(const std::vector<int64_t>& shape)>;

// torch.randn of a private CPU generator, so that devices agree.
Noise seeded_noise(uint64_t seed);

struct StageHooks {
  // Network evaluations (or samples) done of all in the stage.
  std::function<void(std::string_view stage, int done, int total)> progress{};
  std::stop_token stop{};  // looked at before every network evaluation
  // What passes between the stages, by name.
  std::function<void(std::string_view what, const at::Tensor& tensor)> trace{};

  Status check_stop() const;
  SamplerHooks sampler(std::string_view stage) const;
};

}  // namespace espalier::infer
