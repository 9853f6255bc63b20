#include "infer/structure.h"

#include <torch/types.h>

namespace espalier::infer {

Result<at::Tensor> sample_structure(nn::SparseStructureFlow& flow, const at::Tensor& condition, int64_t samples,
                                    const std::vector<LoadedAdapter>& adapters, const SamplerParams& params,
                                    const Noise& noise, const StageHooks& hooks) {
  ESP_ASSIGN(const auto attached, attach(adapters, flow.lora_targets()));
  const int64_t side = flow.config().resolution;
  const at::Tensor start = noise({samples, flow.config().in_channels, side, side, side}).to(condition.device());
  const at::Tensor with = condition.expand({samples, -1, -1}), without = torch::zeros_like(with);
  const Predict predict = [&](const at::Tensor& x, float t, Conditioning conditioning) {
    return flow.forward(x, torch::full({samples}, t, start.options()),
                        conditioning == Conditioning::kImage ? with : without);
  };
  return sample(predict, start, params, {}, hooks.sampler("sparse_structure"));
}

}  // namespace espalier::infer
