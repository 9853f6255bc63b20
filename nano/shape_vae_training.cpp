#include "nano/shape_vae_training.h"

#include <ATen/ATen.h>
#include <torch/types.h>

#include "common/log.h"
#include "nano/architecture.h"
#include "nano/shape_evaluation.h"
#include "nn/networks/voxel_channels.h"

namespace espalier::nano {
namespace {

constexpr double kVertexWeight = 2;
// A child wrongly denied is a hole of up to half a latent cell.
constexpr double kSubdivisionWeight = 2;
// As for the sparse structure: enough noise in the latent that the decoder forgives the denoiser's errors.
constexpr double kKlWeight = 1e-3;
constexpr double kSplitWeight = 1e-3;

// Mean agreement of free-running decodes; a shape of which nothing comes out counts as 0.
GridAgreement mean_agreement(const ScVae& vae, std::span<const VoxelGrid> shapes) {
  GridAgreement mean;
  const auto share = 1.0 / static_cast<double>(shapes.size());
  for (const VoxelGrid& shape : shapes) {
    const auto got = reconstructed(*vae.encoder, *vae.decoder, shape, kLowVoxelResolution);
    if (!got.ok()) continue;
    const GridAgreement one = grid_agreement(*got, as_decoded(shape, kLowVoxelResolution));
    mean.f1 += one.f1 * share;
    mean.f1_within_one += one.f1_within_one * share;
    mean.flags += one.flags * share;
    mean.vertex_distance += one.vertex_distance * share;
  }
  return mean;
}

train::ValidationReport validate_shapes(const ScVae& vae, std::span<const VoxelGrid> held) {
  const GridAgreement mean = mean_agreement(vae, held);
  log_info("held-out shapes", {{"voxel_f1", mean.f1},
                               {"voxel_f1_within_one", mean.f1_within_one},
                               {"flags", mean.flags},
                               {"vertex_distance", mean.vertex_distance}});
  train::ValidationReport report;
  report.loss = 1 - mean.f1;
  return report;
}

}  // namespace

at::Tensor ShapeLoss::total() const {
  return flags + kVertexWeight * vertices + kSubdivisionWeight * subdivision + kKlWeight * kl + kSplitWeight * split;
}

ShapeLoss shape_vae_loss(const ScVae& vae, const LedDecode& decode) {
  const at::Tensor target = decode.input + 0.5;  // vertex in [0, 1], flags 0 or 1
  const nn::DecodedDualGrid grid = nn::decoded_dual_grid(decode.output, vae.decoder->config().voxel_margin);
  ShapeLoss loss;
  loss.flags = at::binary_cross_entropy_with_logits(decode.output.narrow(1, 3, 3), target.narrow(1, 3, 3));
  loss.vertices = (grid.vertices - target.narrow(1, 0, 3)).square().mean();
  loss.subdivision = at::zeros({});
  for (size_t level = 0; level < decode.subdivisions.size(); ++level) {
    loss.subdivision = loss.subdivision + at::binary_cross_entropy_with_logits(
                                              decode.predictions[level], decode.subdivisions[level].to(at::kFloat));
  }
  loss.kl = decode.kl;
  loss.split = (grid.split_weight - 1).square().mean();
  return loss;
}

Status train_shape_vae(const Recipe& recipe) {
  const auto loss = [](const ScVae& vae, const LedDecode& decode) { return shape_vae_loss(vae, decode).total(); };
  return train_vae(recipe, kShape, {nullptr, loss, validate_shapes});
}

}  // namespace espalier::nano
