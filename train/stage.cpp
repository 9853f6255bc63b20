#include "train/stage.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace espalier::train {
namespace {

// Limits of a loss call. A call is the smallest piece of an update that a rank can take, and its size never depends on
// the number of ranks, so that no bit of the result does. Small ones share an update out well, but each has a fixed
// cost: with the nano base that of some 100 tokens, with the official one not noticeable.
constexpr int64_t kFewTokens = 256, kManyTokens = 1024;

constexpr EncoderNames kShapeEncoder = {"shape_slat_encoder", "shape"};

// Reference: TRELLIS.2 configs/gen/*.json.
const Stage kStages[] = {
    {.denoiser = "sparse_structure",
     .latent = LatentKind::kStructure,
     .model_key = {"sparse_structure_flow_model", "sparse_structure_flow_model"},
     .encoders = {{"sparse_structure_encoder", "ss"}},
     .time = TimeDistribution::logit_normal(1, 1),
     .batch_size = {8, 8},
     .condition_tier = {512, 512},
     .tokens_per_call = kFewTokens},
    {.denoiser = "geometry",
     .latent = LatentKind::kShape,
     .model_key = {"shape_slat_flow_model_512", "shape_slat_flow_model_1024"},
     .encoders = {kShapeEncoder},
     .time = {},
     .batch_size = {8, 2},
     .condition_tier = {512, 1024},
     .tokens_per_call = kManyTokens},
    {.denoiser = "texture",
     .latent = LatentKind::kTexture,
     .model_key = {"tex_slat_flow_model_512", "tex_slat_flow_model_1024"},
     .encoders = {{"tex_slat_encoder", "pbr"}, kShapeEncoder},
     .time = {},
     .batch_size = {8, 2},
     .condition_tier = {512, 1024},
     .tokens_per_call = kManyTokens},
};

}  // namespace

Result<Stage> find_stage(std::string_view denoiser) {
  for (const auto& stage : kStages) {
    if (stage.denoiser == denoiser) return stage;
  }
  return absl::NotFoundError(absl::StrCat("denoiser: '", std::string(denoiser),
                                          "' (allowed: ", absl::StrJoin(trainable_denoisers(), ", "), ")"));
}

std::vector<std::string> trainable_denoisers() {
  std::vector<std::string> names;
  for (const auto& stage : kStages) names.emplace_back(stage.denoiser);
  return names;
}

}  // namespace espalier::train
