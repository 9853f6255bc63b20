#include "infer/shape.h"

#include <torch/types.h>

#include "absl/strings/str_cat.h"
#include "infer/cascade.h"
#include "infer/tensor_rows.h"
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

}  // namespace

Result<ShapeLatent> sample_shape(const ShapeNetworks& networks, const ShapeSettings& settings, const at::Tensor& coords,
                                 const std::map<int, at::Tensor>& conditions, const RequestAdapters& adapters,
                                 const Noise& noise, const StageHooks& hooks) {
  const Pipeline& pipeline = settings.pipeline;
  const auto run = [&](std::string_view stage, int tier, const at::Tensor& cells,
                       const std::vector<LoadedAdapter>& own) -> Result<SparseTensor> {
    ESP_TRY(check_tokens(cells, settings));
    ESP_ASSIGN(const auto flow, networks.flow(tier));
    const LatentPass pass{stage, settings.samples, conditions.at(tier), settings.params, settings.normalization};
    return sample_latent(*flow, cells, pass, own, noise, hooks);
  };
  CascadeTokens tokens{coords, settings.grids.voxels};
  if (pipeline.is_cascade()) {
    ESP_ASSIGN(const SparseTensor low, run("shape_low", pipeline.first_tier, coords, adapters.shape_low));
    ESP_ASSIGN(tokens, refine(networks, settings, low, hooks));
  }
  if (hooks.trace) hooks.trace("shape_cells", tokens.coords);
  ESP_ASSIGN(SparseTensor cells, run("shape", pipeline.tier, tokens.coords, adapters.shape));
  return ShapeLatent{std::move(cells), tokens.resolution};
}

Result<DecodedShape> decode_shape(const nn::ScVaeDecoder& decoder, const ShapeLatent& latent, int64_t sample) {
  ESP_ASSIGN(const SparseTensor cells, single_sample(latent.cells, sample));
  const nn::ScVaeDecoded decoded = decoder.forward(cells);
  const SparseTensor& voxels = decoded.voxels;
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
  for (const at::Tensor& level : decoded.subdivisions) out.subdivision.push_back(level > 0);
  return out;
}

}  // namespace espalier::infer
