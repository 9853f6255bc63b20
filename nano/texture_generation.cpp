#include "nano/texture_generation.h"

#include <ATen/ATen.h>
#include <torch/types.h>

#include "infer/samplers/flow_euler.h"
#include "infer/stage.h"

namespace espalier::nano {

Result<at::Tensor> generated_texture(const nn::SLatFlow& flow, const nn::BaseModel& base,
                                     const infer::SamplerParams& params, const StructuredLatent& shape,
                                     const at::Tensor& tokens, uint64_t seed) {
  const at::NoGradGuard no_grad;
  const int64_t rows = shape.coords.size(0);
  const at::Tensor given = normalized(shape.feats, base.shape_slat_normalization());
  const at::Tensor coords = at::cat({at::zeros({rows, 1}, at::TensorOptions(at::kInt)), shape.coords}, 1);
  const at::Tensor noise = infer::seeded_noise(seed)({rows, flow.config().out_channels});
  const nn::SparseTensor x{noise, coords, {0, rows}};
  const at::Tensor nothing = at::zeros_like(tokens);
  const auto predict = [&](const at::Tensor& feats, float t1000, infer::Conditioning conditioning) {
    return flow.forward(x.with(feats), at::full({1}, t1000),
                        conditioning == infer::Conditioning::kImage ? tokens : nothing, given);
  };
  ESP_ASSIGN(const at::Tensor latent, infer::sample(predict, noise, params, {rows}));
  return denormalized(latent, base.tex_slat_normalization());
}

}  // namespace espalier::nano
