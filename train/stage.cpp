#include "train/stage.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace espalier::train {
namespace {

// Reference: TRELLIS.2 configs/gen/*.json.
const Stage kStages[] = {
    {.denoiser = "sparse_structure",
     .model_key = {"sparse_structure_flow_model", "sparse_structure_flow_model"},
     .encoder_key = "sparse_structure_encoder",
     .time = TimeDistribution::logit_normal(1, 1),
     .batch_size = {8, 8},
     .condition_tier = {512, 512}},
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
