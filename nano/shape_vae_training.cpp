#include "nano/shape_vae_training.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <torch/types.h>

#include <nlohmann/json.hpp>

#include "common/log.h"
#include "nano/architecture.h"
#include "nano/model_files.h"
#include "nano/recipe.h"
#include "nano/shape_evaluation.h"
#include "nano/training_run.h"
#include "nn/networks/voxel_channels.h"
#include "nn/sparse/ops.h"
#include "train/flow_loss.h"
#include "train/loop.h"

namespace espalier::nano {
namespace {

constexpr int64_t kBatch = 2;
// Voxels per side of the part of a shape that is trained on at a time. What a voxel becomes depends on little more than
// its latent cell's neighbours, so many small parts teach more than few whole objects of the same cost.
constexpr int kPart = 64;
constexpr double kLearningRate = 2e-3;
constexpr double kVertexWeight = 2;
// A child wrongly denied is a hole of up to half a latent cell.
constexpr double kSubdivisionWeight = 2;
// As for the sparse structure: enough noise in the latent that the decoder forgives the denoiser's errors.
constexpr double kKlWeight = 1e-3;
constexpr double kSplitWeight = 1e-3;

// N(0, 1) on the rows of `x`, each sample's from its own stream.
at::Tensor noise_like(const nn::SparseTensor& x, std::span<const PhiloxStream> streams) {
  std::vector<at::Tensor> noise;
  for (size_t i = 0; i < streams.size(); ++i) {
    noise.push_back(train::normal_noise({x.offsets[i + 1] - x.offsets[i], x.feats.size(1)}, streams[i]));
  }
  return at::cat(noise);
}

at::Tensor batch_loss(const ShapeVae& vae, const std::vector<ShapeGrid>& shapes,
                      std::span<const train::SampleRef> samples, uint64_t seed) {
  std::vector<ShapeGrid> grids;
  std::vector<PhiloxStream> noise;
  for (const train::SampleRef& sample : samples) {
    PhiloxStream place = train::random_stream(seed, train::Purpose::kAugment, sample.step, sample.slot);
    grids.push_back(random_crop(shapes[static_cast<size_t>(sample.item)], kLowVoxelResolution, kPart, place));
    noise.push_back(train::random_stream(seed, train::Purpose::kPosterior, sample.step, sample.slot));
  }
  return shape_vae_loss(vae, grids, noise).total();
}

// Mean agreement of free-running decodes with the first `count` shapes; one of which nothing comes out counts as 0.
GridAgreement mean_agreement(const ShapeVae& vae, const std::vector<ShapeGrid>& shapes, size_t count) {
  GridAgreement mean;
  count = std::min(count, shapes.size());
  const auto share = 1.0 / static_cast<double>(count);
  for (size_t i = 0; i < count; ++i) {
    const auto got = reconstructed(*vae.encoder, *vae.decoder, shapes[i], kLowVoxelResolution);
    if (!got.ok()) continue;
    const GridAgreement one = grid_agreement(*got, as_decoded(shapes[i], kLowVoxelResolution));
    mean.f1 += one.f1 * share;
    mean.f1_within_one += one.f1_within_one * share;
    mean.flags += one.flags * share;
    mean.vertex_distance += one.vertex_distance * share;
  }
  return mean;
}

train::ValidationReport validate(const ShapeVae& vae, const std::vector<ShapeGrid>& held, size_t count) {
  const GridAgreement mean = mean_agreement(vae, held, count);
  log_info("held-out shapes", {{"voxel_f1", mean.f1},
                               {"voxel_f1_within_one", mean.f1_within_one},
                               {"flags", mean.flags},
                               {"vertex_distance", mean.vertex_distance}});
  train::ValidationReport report;
  report.loss = 1 - mean.f1;
  return report;
}

}  // namespace

Result<ShapeVae> fresh_shape_vae(uint64_t seed) {
  ShapeVae vae;
  at::Generator generator = at::detail::createCPUGenerator(seed);
  ESP_ASSIGN(const auto encoder_config, nn::ScVaeConfig::parse(shape_encoder_config().at("args")));
  ESP_ASSIGN(const auto decoder_config, nn::ScVaeConfig::parse(shape_decoder_config().at("args")));
  vae.encoder_parameters = nn::ScVaeEncoder::init_parameters(encoder_config, generator);
  vae.decoder_parameters = nn::ScVaeDecoder::init_parameters(decoder_config, generator);
  ESP_ASSIGN(vae.encoder, nn::ScVaeEncoder::create(encoder_config, vae.encoder_parameters));
  ESP_ASSIGN(vae.decoder, nn::ScVaeDecoder::create(decoder_config, vae.decoder_parameters));
  return vae;
}

at::Tensor ShapeLoss::total() const {
  return flags + kVertexWeight * vertices + kSubdivisionWeight * subdivision + kKlWeight * kl + kSplitWeight * split;
}

ShapeLoss shape_vae_loss(const ShapeVae& vae, std::span<const ShapeGrid> grids, std::span<const PhiloxStream> noise) {
  const nn::SparseTensor voxels = shape_batch(grids);
  const nn::Guide guide = nn::guide_to(voxels, vae.decoder->config().levels() - 1);
  const nn::SparsePosterior posterior = vae.encoder->forward(voxels);
  const at::Tensor& mean = posterior.mean.feats;
  const at::Tensor latent = mean + (posterior.log_variance * 0.5).exp() * noise_like(posterior.mean, noise);
  const nn::ScVaeDecoded decoded = vae.decoder->forward(posterior.mean.with(latent), guide.subdivisions);

  const at::Tensor target = voxels.feats.index_select(0, guide.order) + 0.5;  // vertex in [0, 1], flags 0 or 1
  const at::Tensor& output = decoded.voxels.feats;
  const nn::DecodedDualGrid grid = nn::decoded_dual_grid(output, vae.decoder->config().voxel_margin);
  ShapeLoss loss;
  loss.flags = at::binary_cross_entropy_with_logits(output.narrow(1, 3, 3), target.narrow(1, 3, 3));
  loss.vertices = (grid.vertices - target.narrow(1, 0, 3)).square().mean();
  loss.subdivision = at::zeros({});
  for (size_t level = 0; level < guide.subdivisions.size(); ++level) {
    loss.subdivision = loss.subdivision + at::binary_cross_entropy_with_logits(
                                              decoded.predictions[level], guide.subdivisions[level].to(at::kFloat));
  }
  loss.kl = 0.5 * (mean.square() + posterior.log_variance.exp() - 1 - posterior.log_variance).mean();
  loss.split = (grid.split_weight - 1).square().mean();
  return loss;
}

Status train_shape_vae(const Recipe& recipe) {
  ESP_ASSIGN(
      const std::vector<ShapeGrid> shapes,
      load_or_make_shape_grids(recipe.seed + 30, recipe.shape_grids, recipe.threads, recipe.work / "shape-grids"));
  constexpr uint32_t kHeldShapes = 20;
  ESP_ASSIGN(const std::vector<ShapeGrid> held,
             load_or_make_shape_grids(recipe.seed + 31, kHeldShapes, recipe.threads, recipe.work / "held-grids"));
  ESP_ASSIGN(ShapeVae vae, fresh_shape_vae(recipe.seed + 32));
  std::vector<train::Parameter> trained;
  for (const auto& [name, tensor] : vae.encoder_parameters) trained.push_back({"encoder." + name, tensor});
  for (const auto& [name, tensor] : vae.decoder_parameters) trained.push_back({"decoder." + name, tensor});

  train::LoopConfig config = loop_config(recipe, "shape-vae", recipe.shape_vae_steps, kBatch);
  config.schedule = {train::Schedule::Kind::kCosine, kLearningRate, 50, recipe.shape_vae_steps, 0.02};
  config.validate_every = 500;
  train::LoopHooks hooks;
  hooks.validate = [&] { return validate(vae, held, 6); };
  const auto loss = [&](std::span<const train::SampleRef> samples) {
    return batch_loss(vae, shapes, samples, recipe.seed);
  };
  ESP_TRY(run_stage("shape-vae", config, trained, shapes.size(), loss, hooks));
  validate(vae, held, held.size());
  ESP_TRY(save_checkpoint(recipe.base, kShapeEncoderStem, shape_encoder_config(), vae.encoder_parameters));
  return save_checkpoint(recipe.base, kShapeDecoderStem, shape_decoder_config(), vae.decoder_parameters);
}

}  // namespace espalier::nano
