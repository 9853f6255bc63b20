#include <ATen/ATen.h>
#include <torch/types.h>

#include <cstdio>
#include <functional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "nano/corpus.h"
#include "nano/evaluation.h"
#include "nano/latent_kinds.h"
#include "nano/objects.h"
#include "nano/recipe.h"
#include "nano/shape_evaluation.h"
#include "nano/shape_generation.h"
#include "nano/tiers.h"
#include "nn/io/load_model.h"

namespace espalier::nano {
namespace {

constexpr uint32_t kJudged = 20;  // held-out objects
constexpr int kLowTier = 512;

// The base, and the half of its shape VAE that generation does not need.
struct Model {
  std::unique_ptr<infer::Networks> networks;
  std::unique_ptr<nn::ScVaeEncoder> shape_encoder;
  std::shared_ptr<nn::ScVaeDecoder> shape_decoder;
  infer::SamplerParams shape_sampler;
};

Result<Model> load_model(const std::filesystem::path& folder) {
  ESP_ASSIGN(nn::BaseModel base, nn::BaseModel::open(folder));
  Model model;
  ESP_ASSIGN(model.shape_encoder, nn::load_sc_encoder(base, "shape_slat_encoder", {at::kFloat, c10::kCPU}));
  model.shape_sampler = sampler_params(base.shape_slat_sampler());
  ESP_ASSIGN(model.networks, infer::Networks::open(std::move(base), {}));
  ESP_ASSIGN(model.shape_decoder, model.networks->shape_decoder.get());
  return model;
}

Result<at::Tensor> image_tokens(const Model& model, const at::Tensor& pictures) {  // [N, 3, W, W] uint8
  ESP_ASSIGN(const auto encoder, model.networks->encoder.get());
  return encoder->forward(nn::normalize_pixels(pictures.to(at::kFloat) / 255));
}

Result<at::Tensor> occupancy_of(const Model& model, const at::Tensor& tokens) {
  ESP_ASSIGN(const auto flow, model.networks->structure_flow.get());
  ESP_ASSIGN(const auto decoder, model.networks->structure_decoder.get());
  const auto params = sampler_params(model.networks->base().sparse_structure_sampler());
  return sample_occupancy(*flow, *decoder, tokens, params, /*seed=*/0);
}

// What a tier is judged on: the first held-out objects, seen from one view.
struct Judged {
  std::vector<VoxelGrid> grids;
  std::vector<infer::DecodedShape> wanted;
  at::Tensor occupancy;                      // bool [N, S, S, S], generated from the pictures
  std::map<int, at::Tensor> tokens;          // by tier [N, L, C]
  std::vector<infer::DecodedShape> nearest;  // the training objects with the nearest pictures
};

Result<infer::DecodedShape> object_grid(uint64_t seed, uint32_t index, int voxels) {
  ESP_ASSIGN(const VoxelGrid grid, shape_grid(make_object(seed, index).scene, voxels));
  return as_decoded(grid, voxels);
}

Status add_nearest(const Recipe& recipe, const Tier& tier, const at::Tensor& pictures, Judged& judged) {
  const CorpusConfig config = tier_corpus(recipe, tier);
  ESP_ASSIGN(const Corpus corpus, load_or_make_corpus(config));
  const at::Tensor nearest = nearest_pictures(pictures, corpus.images.flatten(0, 1));
  for (int64_t i = 0; i < pictures.size(0); ++i) {
    const auto object = static_cast<uint32_t>(nearest[i].item<int64_t>() / corpus.images.size(1));
    ESP_ASSIGN(judged.nearest.emplace_back(), object_grid(config.seed, object, tier.voxels));
  }
  return absl::OkStatus();
}

Result<Judged> load_judged(const Recipe& recipe, const Tier& tier, const Model& model) {
  Judged judged;
  const CorpusConfig low = held_tier_corpus(recipe, kTiers[0]), own = held_tier_corpus(recipe, tier);
  ESP_ASSIGN(const Corpus low_corpus, load_or_make_corpus(low));
  ESP_ASSIGN(const Corpus own_corpus, load_or_make_corpus(own));
  const at::Tensor small = low_corpus.images.narrow(0, 0, kJudged).select(1, held_view(low_corpus));
  const at::Tensor pictures = own_corpus.images.narrow(0, 0, kJudged).select(1, held_view(own_corpus));
  ESP_ASSIGN(judged.tokens[kLowTier], image_tokens(model, small));
  ESP_ASSIGN(judged.tokens[tier.number], image_tokens(model, pictures));
  ESP_ASSIGN(judged.occupancy, occupancy_of(model, judged.tokens[kLowTier]));
  for (uint32_t i = 0; i < kJudged; ++i) {
    ESP_ASSIGN(judged.grids.emplace_back(), shape_grid(make_object(own.seed, i).scene, tier.voxels));
    judged.wanted.push_back(as_decoded(judged.grids.back(), tier.voxels));
  }
  ESP_TRY(add_nearest(recipe, tier, pictures, judged));
  return judged;
}

std::map<int, at::Tensor> of_object(const std::map<int, at::Tensor>& tokens, int64_t index) {
  std::map<int, at::Tensor> own;
  for (const auto& [tier, all] : tokens) own[tier] = all.narrow(0, index, 1);
  return own;
}

// Prints the mean agreement of answers with the judged objects; no answer counts as nothing made.
Status print_agreement(const std::string& name, const Judged& judged,
                       const std::function<Result<infer::DecodedShape>(size_t)>& answer) {
  evaluate::SurfaceAgreement mean{0, 0, 0};
  GridAgreement grid;
  for (size_t i = 0; i < judged.wanted.size(); ++i) {
    const auto got = answer(i);
    evaluate::SurfaceAgreement one;
    if (got.ok()) {
      ESP_ASSIGN(one, mesh_agreement(*got, judged.wanted[i]));
      const GridAgreement voxels = grid_agreement(*got, judged.wanted[i]);
      grid.f1 += voxels.f1 / kJudged;
      grid.f1_within_one += voxels.f1_within_one / kJudged;
    } else if (!absl::IsFailedPrecondition(got.status())) {
      return got.status();
    }
    mean.chamfer += one.chamfer / kJudged;
    mean.f_score += one.f_score / kJudged;
  }
  std::fputs(absl::StrFormat("  %-34s %8.4f %8.3f %8.3f %8.3f\n", name, mean.chamfer, mean.f_score, grid.f1,
                             grid.f1_within_one)
                 .c_str(),
             stdout);
  return absl::OkStatus();
}

Status report_tier(const Tier& tier, const Model& model, const Judged& judged) {
  std::fputs(absl::StrFormat("shapes of tier %d, %d held-out objects %6s %8s %8s %8s\n", tier.number, kJudged,
                             "Chamfer", "F-score", "F1", "F1 +-1")
                 .c_str(),
             stdout);
  const auto generate = [&](const char* pipeline, const at::Tensor& cells, size_t i) {
    return generated_shape(*model.networks, model.shape_sampler, *infer::find_pipeline(pipeline), cells,
                           of_object(judged.tokens, static_cast<int64_t>(i)), /*seed=*/i);
  };
  ESP_TRY(print_agreement("encoded and decoded", judged, [&](size_t i) {
    return reconstructed(*model.shape_encoder, *model.shape_decoder, judged.grids[i], tier.voxels);
  }));
  ESP_TRY(print_agreement("generated in its own cells", judged, [&](size_t i) {
    const at::Tensor cells = model.shape_encoder->forward(voxel_batch(kShape, {&judged.grids[i], 1})).mean.coords;
    return generate(tier.own_cells_pipeline, cells, i);
  }));
  ESP_TRY(print_agreement("generated from the picture alone", judged, [&](size_t i) {
    const at::Tensor occupancy = judged.occupancy[static_cast<int64_t>(i)];
    return generate(tier.pipeline, occupied_cells(occupancy, tier.structure_side), i);
  }));
  return print_agreement("training object of nearest picture", judged,
                         [&](size_t i) -> Result<infer::DecodedShape> { return judged.nearest[i]; });
}

}  // namespace

Status report_shapes(const Recipe& recipe) {
  const at::NoGradGuard no_grad;
  ESP_ASSIGN(const Model model, load_model(recipe.base));
  for (const Tier& tier : kTiers) {
    ESP_ASSIGN(const Judged judged, load_judged(recipe, tier, model));
    ESP_TRY(report_tier(tier, model, judged));
  }
  return absl::OkStatus();
}

}  // namespace espalier::nano
