#include "nano/evaluation.h"

#include <ATen/ATen.h>
#include <torch/types.h>

#include <array>
#include <limits>
#include <vector>

#include "train/flow_loss.h"
#include "train/random.h"

namespace espalier::nano {
namespace {

// Sum over all but the first dimension, float32 [N].
at::Tensor per_object(const at::Tensor& cells) { return cells.flatten(1).sum(1).to(at::kFloat); }

at::Tensor grown_by_one(const at::Tensor& cells) {
  at::Tensor grown = cells.unsqueeze(1).to(at::kFloat);
  for (size_t axis = 0; axis < 3; ++axis) {  // one axis after the other: a third of the work, the same result
    std::array<int64_t, 3> window{1, 1, 1}, padding{0, 0, 0};
    window[axis] = 3;
    padding[axis] = 1;
    grown = at::max_pool3d(grown, window, {1, 1, 1}, padding);
  }
  return grown.squeeze(1) > 0;
}

at::Tensor thumbnails(const at::Tensor& pictures) {
  return at::adaptive_avg_pool2d(pictures.to(at::kFloat), {32, 32}).flatten(1);
}

}  // namespace

at::Tensor iou(const at::Tensor& got, const at::Tensor& want) {
  const at::Tensor both = per_object(got & want), any = per_object(got | want);
  return at::where(any > 0, both / any.clamp_min(1), at::ones_like(any));
}

at::Tensor f1_within_one(const at::Tensor& got, const at::Tensor& want) {
  const at::Tensor precision = per_object(got & grown_by_one(want)) / per_object(got).clamp_min(1);
  const at::Tensor recall = per_object(want & grown_by_one(got)) / per_object(want).clamp_min(1);
  return 2 * precision * recall / (precision + recall).clamp_min(1e-9);
}

at::Tensor best_constant(const at::Tensor& examples) {
  const at::Tensor truth = examples > 0, mean = truth.to(at::kFloat).mean(0);
  at::Tensor best;
  double best_iou = -1;
  for (int level = 1; level < 20; ++level) {
    const at::Tensor cells = mean > 0.05 * level;
    const double value = iou(cells.unsqueeze(0).expand_as(truth), truth).mean().item<double>();
    if (value <= best_iou) continue;
    best_iou = value;
    best = cells;
  }
  return best;
}

at::Tensor nearest_pictures(const at::Tensor& pictures, const at::Tensor& known) {
  const at::Tensor queries = thumbnails(pictures);
  at::Tensor best_distance = at::full({queries.size(0)}, std::numeric_limits<float>::infinity());
  at::Tensor best = at::zeros({queries.size(0)}, at::TensorOptions(at::kLong));
  int64_t first = 0;
  for (const at::Tensor& part : known.split(256)) {
    const auto [distance, index] = at::cdist(queries, thumbnails(part)).min(1);
    const at::Tensor closer = distance < best_distance;
    best = at::where(closer, index + first, best);
    best_distance = at::where(closer, distance, best_distance);
    first += part.size(0);
  }
  return best;
}

infer::SamplerParams sampler_params(const nn::SamplerDefaults& defaults) {
  infer::SamplerParams params;
  params.steps = defaults.steps;
  params.rescale_t = defaults.rescale_t;
  params.guidance_strength = defaults.guidance_strength;
  params.guidance_rescale = defaults.guidance_rescale;
  params.interval_start = defaults.guidance_interval[0];
  params.interval_end = defaults.guidance_interval[1];
  params.sigma_min = defaults.sigma_min;
  return params;
}

Result<at::Tensor> sample_occupancy(const nn::SparseStructureFlow& flow, const nn::SparseStructureDecoder& decoder,
                                    const at::Tensor& tokens, const infer::SamplerParams& params, uint64_t seed) {
  const at::NoGradGuard no_grad;
  const nn::FlowConfig& config = flow.config();
  std::vector<at::Tensor> noise;
  for (int64_t i = 0; i < tokens.size(0); ++i) {
    noise.push_back(train::normal_noise({config.in_channels, config.resolution, config.resolution, config.resolution},
                                        train::random_stream(seed, train::Purpose::kValidationNoise, i)));
  }
  const at::Tensor nothing = at::zeros_like(tokens);
  const auto predict = [&](const at::Tensor& x, float t1000, infer::Conditioning conditioning) {
    return flow.forward(x, at::full({x.size(0)}, t1000),
                        conditioning == infer::Conditioning::kImage ? tokens : nothing);
  };
  ESP_ASSIGN(const at::Tensor latent, infer::sample(predict, at::stack(noise), params));
  return decoder.forward(latent).squeeze(1) > 0;
}

}  // namespace espalier::nano
