#include "infer/latent_pass.h"

#include <torch/types.h>

namespace espalier::infer {
namespace {

using nn::SparseTensor;

at::Tensor row_of(const std::vector<double>& values, c10::Device device) {
  return torch::tensor(values, torch::kFloat64).to(device, torch::kFloat32);
}

std::vector<int64_t> lengths(const SparseTensor& x) {
  std::vector<int64_t> out;
  for (size_t b = 0; b + 1 < x.offsets.size(); ++b) out.push_back(x.offsets[b + 1] - x.offsets[b]);
  return out;
}

}  // namespace

at::Tensor normalised(const at::Tensor& feats, const nn::LatentNormalization& normalization) {
  return (feats - row_of(normalization.mean, feats.device())) / row_of(normalization.std, feats.device());
}

Result<SparseTensor> sample_latent(nn::SLatFlow& flow, const at::Tensor& coords, const LatentPass& pass,
                                   const std::vector<LoadedAdapter>& adapters, const Noise& noise,
                                   const StageHooks& hooks) {
  ESP_ASSIGN(const auto attached, attach(adapters, flow.lora_targets()));
  const c10::Device device = pass.condition.device();
  const at::Tensor with = pass.condition.expand({pass.samples, -1, -1}), without = torch::zeros_like(with);
  const int64_t given = pass.concat.defined() ? pass.concat.size(1) : 0;
  const at::Tensor start = noise({coords.size(0), flow.config().in_channels - given}).to(device);
  ESP_ASSIGN(const auto x, SparseTensor::create(start, coords.to(device), pass.samples));
  const Predict predict = [&](const at::Tensor& rows, float t, Conditioning conditioning) {
    return flow.forward(x.with(rows), torch::full({pass.samples}, t, start.options()),
                        conditioning == Conditioning::kImage ? with : without, pass.concat);
  };
  ESP_ASSIGN(const at::Tensor latent, sample(predict, start, pass.params, lengths(x), hooks.sampler(pass.stage)));
  return x.with(latent * row_of(pass.normalization.std, device) + row_of(pass.normalization.mean, device));
}

Result<SparseTensor> single_sample(const SparseTensor& cells, int64_t sample) {
  const auto index = static_cast<size_t>(sample);
  const int64_t begin = cells.offsets[index], rows = cells.offsets[index + 1] - begin;
  at::Tensor coords = cells.coords.narrow(0, begin, rows).clone();
  coords.select(1, 0).zero_();
  return SparseTensor::create(cells.feats.narrow(0, begin, rows), coords, 1);
}

}  // namespace espalier::infer
