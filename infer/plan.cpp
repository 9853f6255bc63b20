#include "infer/plan.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace espalier::infer {
namespace {

bool wants_shape(const GenerateRequest& request, const Networks& networks) {
  return request.last_stage == LastStage::kAny ? networks.has_shape() : request.last_stage != LastStage::kStructure;
}

// Whether a file of the request would hold a texture.
bool holds_texture(const GenerateRequest& request) {
  return std::any_of(request.formats.begin(), request.formats.end(), [&](FileFormat format) {
    return format == FileFormat::kVxz || format == FileFormat::kNpz ||
           (format == FileFormat::kGlb && !request.geometry_only);
  });
}

std::string names(const std::vector<const Pipeline*>& list) {
  return absl::StrJoin(list, ", ",
                       [](std::string* out, const Pipeline* p) { absl::StrAppend(out, std::string(p->name)); });
}

std::vector<const Pipeline*> runnable(const Networks& networks) {
  std::vector<const Pipeline*> out;
  for (const Pipeline& pipeline : pipelines()) {
    if (networks.can_run(pipeline)) out.push_back(&pipeline);
  }
  return out;
}

// The pipeline of a request for a shape; a fault where there is none.
void choose_pipeline(const GenerateRequest& request, const Networks& networks, Plan& plan, std::vector<Fault>& faults) {
  const bool named = !request.pipeline.empty();
  const int resolution = request.resolution != 0 ? request.resolution : smallest_tier(networks.base());
  const Pipeline* pipeline = named ? find_pipeline(request.pipeline) : pipeline_for(resolution);
  if (pipeline == nullptr || !networks.can_run(*pipeline)) {
    const std::string asked = named ? request.pipeline : absl::StrCat(resolution);
    faults.push_back({named ? "pipeline_type" : "resolution",
                      absl::StrCat(asked, " is not among what the base model has networks and grids for: ",
                                   names(runnable(networks)))});
  } else if (named && request.resolution != 0 && request.resolution != pipeline->resolution) {
    faults.push_back({"resolution", absl::StrCat(request.resolution, " is not that of pipeline ", request.pipeline)});
  } else {
    plan.pipeline = pipeline;
    plan.resolution = pipeline->resolution;
  }
}

bool is_given(const SamplerOverrides& o) {
  return o.steps || o.guidance_strength || o.guidance_rescale || o.interval_start || o.interval_end || o.rescale_t;
}

// Nothing may be asked of a shape where none is generated.
void check_structure_only(const GenerateRequest& request, const nn::BaseModel& base, Plan& plan,
                          std::vector<Fault>& faults) {
  const std::vector<int>& tiers = base.tiers();
  plan.resolution = request.resolution != 0 ? request.resolution : smallest_tier(base);
  if (request.resolution != 0 && std::find(tiers.begin(), tiers.end(), request.resolution) == tiers.end()) {
    faults.push_back({"resolution", absl::StrCat(request.resolution, " is not one of the base model's resolutions: ",
                                                 absl::StrJoin(tiers, ", "))});
  }
  constexpr const char* kNone = "this request ends with the sparse structure";
  if (!request.pipeline.empty()) faults.push_back({"pipeline_type", kNone});
  if (is_given(request.shape)) faults.push_back({"shape", kNone});
  if (request.remesh.value_or(false)) faults.push_back({"mesh.remesh", kNone});
  if (!request.state_folder.empty()) faults.push_back({"keep_state", kNone});
  for (size_t i = 0; i < request.formats.size(); ++i) {
    if (request.formats[i] != FileFormat::kVxz && request.formats[i] != FileFormat::kNpz) continue;
    faults.push_back({absl::StrCat("formats[", i, "]"), kNone});
  }
}

// Nothing may be asked of a texture where none is generated.
void check_texture(const GenerateRequest& request, const Plan& plan, std::vector<Fault>& faults) {
  constexpr const char* kNone = "this request generates no texture";
  if (plan.textured) return;
  if (is_given(request.texture)) faults.push_back({"texture", kNone});
  if (!request.geometry_only) check_no_texture(request, kNone, faults);
}

// What the base lacks for a request that is right in itself.
Status check_stage(const GenerateRequest& request, const Plan& plan, const Networks& networks) {
  const std::string& base = networks.base().name();
  if (wants_shape(request, networks) && !networks.has_shape()) {
    return absl::FailedPreconditionError(
        absl::StrCat("stop_after: base model ", base, " has no networks for the shape"));
  }
  if (request.last_stage != LastStage::kTexture || networks.has_texture(plan.pipeline->tier)) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("stop_after: base model ", base,
                                                    " has no networks for the texture of pipeline ",
                                                    std::string(plan.pipeline->name)));
}

std::vector<int> condition_tiers(const Plan& plan) {
  std::vector<int> tiers{kStructureTier};
  if (plan.pipeline != nullptr && plan.pipeline->tier != kStructureTier) tiers.push_back(plan.pipeline->tier);
  return tiers;
}

}  // namespace

SamplerParams params_of(const nn::SamplerDefaults& defaults) {
  SamplerParams params;
  params.steps = defaults.steps;
  params.rescale_t = defaults.rescale_t;
  params.sigma_min = defaults.sigma_min;
  if (defaults.name == "FlowEulerSampler") return params;
  params.guidance_strength = defaults.guidance_strength;
  params.guidance_rescale = defaults.guidance_rescale;
  if (defaults.name == "FlowEulerCfgSampler") return params;
  params.interval_start = defaults.guidance_interval[0];
  params.interval_end = defaults.guidance_interval[1];
  return params;
}

int smallest_tier(const nn::BaseModel& base) {
  return base.tiers().empty() ? kStructureTier : *std::min_element(base.tiers().begin(), base.tiers().end());
}

bool wants_texture(const GenerateRequest& request, const Pipeline& pipeline, const Networks& networks) {
  if (!networks.has_texture(pipeline.tier)) return false;
  return request.last_stage == LastStage::kTexture ||
         (request.last_stage == LastStage::kAny && (!request.state_folder.empty() || holds_texture(request)));
}

Result<Plan> make_plan(const GenerateRequest& request, Networks& networks, image::Matting* matting,
                       std::vector<Fault>& faults) {
  Plan plan;
  const nn::BaseModel& base = networks.base();
  const bool with_shape = wants_shape(request, networks);
  if (with_shape && networks.has_shape()) choose_pipeline(request, networks, plan, faults);
  if (!with_shape) check_structure_only(request, base, plan, faults);
  plan.textured = plan.pipeline != nullptr && wants_texture(request, *plan.pipeline, networks);
  if (!with_shape || plan.pipeline != nullptr) check_texture(request, plan, faults);
  check_ranges(request, faults);
  plan.structure =
      apply(request.sparse_structure, params_of(base.sparse_structure_sampler()), "sparse_structure", faults);
  plan.shape = apply(request.shape, params_of(base.shape_slat_sampler()), "shape", faults);
  plan.texture = apply(request.texture, params_of(base.tex_slat_sampler()), "texture", faults);
  // Without its pipeline nobody can say whether an adapter fits.
  if (!with_shape || plan.pipeline != nullptr) plan.adapters = read_adapters(request, plan.pipeline, networks, faults);
  auto images = condition_images(request.image, request.background, condition_tiers(plan), base.grid_scale(), matting);
  add_image_fault(images, faults);
  ESP_TRY(to_status(faults));
  ESP_TRY(check_stage(request, plan, networks));
  if (!images.ok()) return annotate(images.status(), "image");
  plan.images = *std::move(images);
  return plan;
}

}  // namespace espalier::infer
