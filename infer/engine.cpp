#include "infer/engine.h"

#include <torch/types.h>

#include <chrono>
#include <cmath>
#include <optional>

#include "absl/strings/str_cat.h"
#include "image/codec.h"
#include "image/condition_image.h"
#include "infer/matting_torchscript.h"
#include "infer/structure.h"
#include "infer/turn_queue.h"
#include "mesh/glb_writer.h"
#include "nn/io/base_model.h"
#include "ovoxel/voxel_surface.h"

namespace espalier::infer {
namespace {

constexpr int kConditionSide = 512;  // of the structure stage in every pipeline, times grid_scale
constexpr int kPooling = 2;          // cells of the decoder's grid per cell of the tier 512 latent grid

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

// A request after every check.
struct Checked {
  std::vector<float> planes;  // condition image
  std::vector<LoadedAdapter> adapters;
  SamplerParams params;
};

// Wall time per stage.
class Stopwatch {
 public:
  void lap(const char* stage) {
    const auto now = std::chrono::steady_clock::now();
    seconds.emplace_back(stage, std::chrono::duration<double>(now - last_).count());
    last_ = now;
  }
  std::vector<std::pair<std::string, double>> seconds;

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

Result<c10::Device> parse_device(const std::string& text) {
  try {
    const c10::Device device(text);
    torch::empty({1}, torch::device(device));
    return device;
  } catch (const c10::Error& error) {
    return absl::InvalidArgumentError(
        absl::StrCat("device \"", text, "\" cannot be used here: ", error.what_without_backtrace()));
  }
}

Result<std::vector<float>> condition_planes(const GenerateRequest& request, int side, image::Matting* matting) {
  ESP_ASSIGN(const image::DecodedImage decoded, image::decode(request.image));
  ESP_ASSIGN(const image::Image object, image::preprocess_image(decoded.image, request.background, matting));
  return image::inference_condition_image(object, side);
}

Result<GeneratedSample> make_sample(const at::Tensor& coords, int64_t sample, int resolution) {
  const auto rows = coords.index({coords.select(1, 0) == sample}).contiguous();  // [M, 4]
  if (rows.size(0) == 0) {
    return absl::FailedPreconditionError(
        "the model found no shape for this image and seed; try another seed, image or adapter scale");
  }
  GeneratedSample out;
  const auto cells = rows.accessor<int32_t, 2>();
  for (int64_t i = 0; i < cells.size(0); ++i) out.voxels.push_back({cells[i][1], cells[i][2], cells[i][3]});
  mesh::Scene scene;
  ESP_ASSIGN(mesh::Mesh surface, ovoxel::voxel_surface(out.voxels, resolution));
  surface.name = "object";
  scene.meshes.push_back(std::move(surface));
  ESP_ASSIGN(out.glb, mesh::write_glb(scene));
  return out;
}

}  // namespace

struct Engine::State {
  State(nn::BaseModel base_model, std::unique_ptr<StructureStage> stage, std::unique_ptr<image::Matting> network,
        int max_waiting)
      : base(std::move(base_model)), structure(std::move(stage)), matting(std::move(network)), queue(max_waiting) {}

  int condition_side() const { return static_cast<int>(std::lround(kConditionSide * base.grid_scale())); }

  Result<Checked> check(const GenerateRequest& request, std::vector<Fault>& faults);
  void check_adapters(const GenerateRequest& request, Checked& checked, std::vector<Fault>& faults);
  Result<GeneratedAssets> run(const GenerateRequest& request, const Checked& checked, uint64_t seed,
                              const GenerateHooks& hooks);
  Status make_surfaces(const at::Tensor& logits, const GenerateRequest& request, const GenerateHooks& hooks,
                       GeneratedAssets& assets);

  nn::BaseModel base;
  std::unique_ptr<StructureStage> structure;
  std::unique_ptr<image::Matting> matting;  // null: none configured
  TurnQueue queue;
};

void Engine::State::check_adapters(const GenerateRequest& request, Checked& checked, std::vector<Fault>& faults) {
  for (size_t i = 0; i < std::min(request.adapters.size(), kMaxAdapters); ++i) {
    const AdapterUse& use = request.adapters[i];
    if (use.file.empty() && !faults.empty()) continue;
    auto adapter = structure->read_adapter(use.file, use.scale);
    if (adapter.ok()) {
      checked.adapters.push_back(*std::move(adapter));
    } else {
      faults.push_back({absl::StrCat("adapters[", i, "]"), std::string(adapter.status().message())});
    }
  }
}

Result<Checked> Engine::State::check(const GenerateRequest& request, std::vector<Fault>& faults) {
  Checked checked;
  check_ranges(request, base.tiers(), faults);
  checked.params =
      apply(request.sparse_structure, params_of(base.sparse_structure_sampler()), "sparse_structure", faults);
  check_adapters(request, checked, faults);
  auto planes = condition_planes(request, condition_side(), matting.get());
  // A condition that the caller's request alone cannot meet keeps its own code, unless there are plain faults too.
  const bool precondition = absl::IsFailedPrecondition(planes.status());
  if (!planes.ok() && (!precondition || !faults.empty())) {
    faults.push_back({"image", std::string(planes.status().message())});
  }
  ESP_TRY(to_status(faults));
  if (!planes.ok()) return annotate(planes.status(), "image");
  checked.planes = *std::move(planes);
  return checked;
}

Status Engine::State::make_surfaces(const at::Tensor& logits, const GenerateRequest& request,
                                    const GenerateHooks& hooks, GeneratedAssets& assets) {
  const bool pooled = request.pooled_structure && assets.resolution == 512;
  assets.structure_resolution = static_cast<int>(logits.size(2)) / (pooled ? kPooling : 1);
  const auto coords = nn::occupied_coords(logits, assets.structure_resolution).to(torch::kCPU);
  for (int i = 0; i < request.samples; ++i) {
    if (hooks.stop.stop_requested()) return absl::CancelledError("stopped on request");
    ESP_ASSIGN(GeneratedSample sample, make_sample(coords, i, assets.structure_resolution));
    assets.samples.push_back(std::move(sample));
    if (hooks.progress) hooks.progress("mesh", i + 1, request.samples);
  }
  return absl::OkStatus();
}

Result<GeneratedAssets> Engine::State::run(const GenerateRequest& request, const Checked& checked, uint64_t seed,
                                           const GenerateHooks& hooks) {
  const at::NoGradGuard no_gradients;
  Stopwatch watch;
  GeneratedAssets assets;
  assets.seed = seed;
  assets.resolution = request.resolution != 0 ? request.resolution : base.tiers().front();
  assets.sparse_structure = checked.params;

  const at::Tensor condition = structure->condition(checked.planes, condition_side());
  if (hooks.progress) hooks.progress("condition", 1, 1);
  watch.lap("condition");

  SamplerHooks sampler_hooks;
  sampler_hooks.stop = hooks.stop;
  if (hooks.progress) {
    sampler_hooks.progress = [&](int done, int total) { hooks.progress("sparse_structure", done, total); };
  }
  ESP_ASSIGN(const at::Tensor latents, structure->sample_latents(condition, request.samples, seed, checked.adapters,
                                                                 checked.params, sampler_hooks));
  const at::Tensor logits = structure->decode(latents);
  watch.lap("sparse_structure");

  ESP_TRY(make_surfaces(logits, request, hooks, assets));
  watch.lap("mesh");
  assets.seconds = std::move(watch.seconds);
  return assets;
}

Engine::Engine(std::unique_ptr<State> state) : state_(std::move(state)) {}
Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::open(const EngineOptions& options) {
  try {
    ESP_ASSIGN(const c10::Device device, parse_device(options.device));
    ESP_ASSIGN(nn::BaseModel base, nn::BaseModel::open(options.base));
    ESP_ASSIGN(auto structure, StructureStage::load(base, device, options.bfloat16));
    std::unique_ptr<image::Matting> matting;
    if (!options.matting_model.empty()) {
      ESP_ASSIGN(matting, open_torchscript_matting(options.matting_model, options.device));
    }
    return std::unique_ptr<Engine>(new Engine(
        std::make_unique<State>(std::move(base), std::move(structure), std::move(matting), options.max_waiting)));
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("not enough memory to load the base model");
  } catch (const c10::Error& error) {
    return absl::InternalError(error.what_without_backtrace());
  }
}

const std::string& Engine::base_name() const { return state_->base.name(); }

Result<GeneratedAssets> Engine::generate(const GenerateRequest& request, const GenerateHooks& hooks,
                                         std::vector<Fault>* faults) {
  try {
    std::vector<Fault> own;
    auto checked = state_->check(request, faults != nullptr ? *faults : own);
    ESP_TRY(checked.status());
    ESP_ASSIGN(const TurnQueue::Turn turn, state_->queue.wait(hooks.stop));
    const uint64_t seed = request.seed.value_or(random_seed());
    if (hooks.started) hooks.started(seed);
    return state_->run(request, *checked, seed, hooks);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("not enough memory for this request");
  } catch (const c10::Error& error) {
    return absl::InternalError(error.what_without_backtrace());
  }
}

}  // namespace espalier::infer
