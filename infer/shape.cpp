#include "infer/shape.h"

#include <torch/types.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "infer/cascade.h"
#include "nn/networks/voxel_channels.h"

namespace espalier::infer {
namespace {

using nn::SparseTensor;

Status empty_shape(const char* what) {
  return absl::FailedPreconditionError(absl::StrCat("the model found no shape for this image and seed (", what,
                                                    "); try another seed, image or adapter scale"));
}

Status check_tokens(const at::Tensor& coords, const ShapeSettings& settings) {
  if (coords.size(0) > settings.token_limit) {
    return absl::ResourceExhaustedError(absl::StrCat("the shape has ", coords.size(0), " tokens; at most ",
                                                     settings.token_limit,
                                                     " are allowed: ask for fewer samples or a lower resolution"));
  }
  const at::Tensor rows = torch::bincount(coords.select(1, 0).to(torch::kCPU), {}, settings.samples);
  return (rows == 0).any().item<bool>() ? empty_shape("no cell is occupied") : absl::OkStatus();
}

at::Tensor row_of(const std::vector<double>& values, c10::Device device) {
  return torch::tensor(values, torch::kFloat64).to(device, torch::kFloat32);
}

// One pass of the sampler on the cells of `coords`, out of the network's space.
class ShapePass {
 public:
  ShapePass(const ShapeSettings& settings, const at::Tensor& condition, const Noise& noise, const StageHooks& hooks)
      : settings_(settings),
        with_(condition.expand({settings.samples, -1, -1})),
        without_(torch::zeros_like(with_)),
        noise_(noise),
        hooks_(hooks) {}

  Result<SparseTensor> run(std::string_view stage, nn::SLatFlow& flow, const std::vector<LoadedAdapter>& adapters,
                           const at::Tensor& coords) const {
    ESP_TRY(check_tokens(coords, settings_));
    ESP_ASSIGN(const auto attached, attach(adapters, flow.lora_targets()));
    const c10::Device device = with_.device();
    const at::Tensor start = noise_({coords.size(0), flow.config().in_channels}).to(device);
    ESP_ASSIGN(const auto x, SparseTensor::create(start, coords.to(device), settings_.samples));
    const Predict predict = [&](const at::Tensor& rows, float t, Conditioning conditioning) {
      return flow.forward(x.with(rows), torch::full({settings_.samples}, t, start.options()),
                          conditioning == Conditioning::kImage ? with_ : without_);
    };
    ESP_ASSIGN(const at::Tensor latent, sample(predict, start, settings_.params, lengths(x), hooks_.sampler(stage)));
    return x.with(latent * row_of(settings_.normalization.std, device) + row_of(settings_.normalization.mean, device));
  }

 private:
  static std::vector<int64_t> lengths(const SparseTensor& x) {
    std::vector<int64_t> out;
    for (int64_t b = 0; b < x.batch_size(); ++b) out.push_back(x.offsets[b + 1] - x.offsets[b]);
    return out;
  }

  const ShapeSettings& settings_;
  at::Tensor with_, without_;
  const Noise& noise_;
  const StageHooks& hooks_;
};

// The cells of a cascade's second pass, from the surface of the first.
Result<CascadeTokens> refine(const ShapeNetworks& networks, const ShapeSettings& settings, const SparseTensor& low,
                             const StageHooks& hooks) {
  ESP_TRY(hooks.check_stop());
  ESP_ASSIGN(const auto decoder, networks.decoder());
  const at::Tensor fine = decoder->upsample(low, decoder->config().levels() - 1);
  if (hooks.trace) hooks.trace("low_voxels", fine);
  if (fine.size(0) == 0) return empty_shape("the first pass has no voxel");
  const CascadeGrid grid{settings.grids.low_voxels, settings.grids.voxels, settings.grids.lowest, settings.grids.step};
  return cascade_tokens(fine, grid, settings.max_num_tokens);
}

template <class T, size_t N>
std::vector<std::array<T, N>> rows_of(const at::Tensor& tensor) {
  const at::Tensor host = tensor.to(torch::kCPU).contiguous();
  std::vector<std::array<T, N>> rows(static_cast<size_t>(host.size(0)));
  std::memcpy(rows.data(), host.const_data_ptr<T>(), host.nbytes());
  return rows;
}

template <class T>
std::vector<T> values_of(const at::Tensor& tensor) {
  const at::Tensor host = tensor.to(torch::kCPU).contiguous();
  const T* data = host.const_data_ptr<T>();
  return {data, data + host.numel()};
}

// One sample of the latent, as a batch of one.
Result<SparseTensor> single(const SparseTensor& cells, int64_t sample) {
  const int64_t begin = cells.offsets[sample], rows = cells.offsets[sample + 1] - begin;
  at::Tensor coords = cells.coords.narrow(0, begin, rows).clone();
  coords.select(1, 0).zero_();
  return SparseTensor::create(cells.feats.narrow(0, begin, rows), coords, 1);
}

}  // namespace

Result<ShapeLatent> sample_shape(const ShapeNetworks& networks, const ShapeSettings& settings, const at::Tensor& coords,
                                 const std::map<int, at::Tensor>& conditions, const RequestAdapters& adapters,
                                 const Noise& noise, const StageHooks& hooks) {
  const Pipeline& pipeline = settings.pipeline;
  CascadeTokens tokens{coords, settings.grids.voxels};
  if (pipeline.is_cascade()) {
    const ShapePass pass(settings, conditions.at(pipeline.first_tier), noise, hooks);
    SparseTensor low;
    {
      ESP_ASSIGN(const auto flow, networks.flow(pipeline.first_tier));
      ESP_ASSIGN(low, pass.run("shape_low", *flow, adapters.shape_low, coords));
    }
    ESP_ASSIGN(tokens, refine(networks, settings, low, hooks));
  }
  if (hooks.trace) hooks.trace("shape_cells", tokens.coords);
  const ShapePass pass(settings, conditions.at(pipeline.tier), noise, hooks);
  ESP_ASSIGN(const auto flow, networks.flow(pipeline.tier));
  ESP_ASSIGN(SparseTensor cells, pass.run("shape", *flow, adapters.shape, tokens.coords));
  return ShapeLatent{std::move(cells), tokens.resolution};
}

Result<DecodedShape> decode_shape(const nn::ScVaeDecoder& decoder, const ShapeLatent& latent, int64_t sample) {
  ESP_ASSIGN(const SparseTensor cells, single(latent.cells, sample));
  const SparseTensor voxels = decoder.forward(cells).voxels;
  if (voxels.rows() == 0) return empty_shape("every voxel was refused");
  const auto grid = nn::decoded_dual_grid(voxels.feats, decoder.config().voxel_margin);
  if (!grid.vertices.isfinite().all().item<bool>() || !grid.split_weight.isfinite().all().item<bool>()) {
    return absl::FailedPreconditionError(
        "the shape came out with numbers that are not finite; try a smaller adapter scale or guidance strength");
  }
  const at::Tensor bits = torch::tensor({1, 2, 4}, grid.intersected.device());
  DecodedShape out;
  out.voxels = rows_of<int32_t, 3>(voxels.coords.narrow(1, 1, 3));
  out.vertices = rows_of<float, 3>(grid.vertices);
  out.intersected = values_of<uint8_t>((grid.intersected * bits).sum(1).to(torch::kByte));
  out.split_weights = values_of<float>(grid.split_weight);
  out.resolution = static_cast<int32_t>(latent.voxels);
  return out;
}

}  // namespace espalier::infer
