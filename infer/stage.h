#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
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

// Wall time per stage, in the order they ran.
class Stopwatch {
 public:
  // Ends a stage and begins the next.
  void lap(const char* stage);
  const std::vector<std::pair<std::string, double>>& seconds() const { return seconds_; }

 private:
  std::vector<std::pair<std::string, double>> seconds_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace espalier::infer
