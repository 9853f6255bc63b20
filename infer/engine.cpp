#include "infer/engine.h"

#include <torch/types.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/installation.h"
#include "infer/extraction.h"
#include "infer/generation.h"
#include "infer/matting_torchscript.h"
#include "infer/networks.h"
#include "infer/plan.h"
#include "infer/retexture.h"
#include "infer/state_file.h"
#include "infer/stored_latents.h"
#include "infer/turn_queue.h"

namespace espalier::infer {
namespace {

Result<c10::Device> parse_device(const std::string& text) {
  try {
    const c10::Device device(text != "auto" ? text : at::hasCUDA() ? "cuda" : "cpu");
    torch::empty({1}, torch::device(device));
    return device;
  } catch (const c10::Error& error) {
    return absl::InvalidArgumentError(
        absl::StrCat("device \"", text, "\" cannot be used here: ", error.what_without_backtrace()));
  }
}

Status status_of(const c10::Error& error) {
  const std::string what = error.what_without_backtrace();
  const bool memory = dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr ||
                      absl::StrContains(what, "can't allocate memory");  // as the CPU's allocator says it
  return memory ? absl::ResourceExhaustedError("not enough memory for this request: " + what)
                : absl::InternalError(what);
}

Status no_shape(const std::string& base) {
  return absl::FailedPreconditionError(absl::StrCat("base model ", base, " has no networks for the shape"));
}

}  // namespace

struct Engine::State {
  State(std::unique_ptr<Networks> opened, std::unique_ptr<image::Matting> network, const EngineOptions& options)
      : networks(std::move(opened)),
        matting(std::move(network)),
        max_shape_tokens(options.max_shape_tokens),
        queue(options.max_waiting) {}

  Result<GeneratedAssets> files_of(const Latents& latents, const OutputOptions& options, const GenerateHooks& hooks,
                                   std::vector<Fault>& faults) {
    check_extraction(latents, options, faults);
    ESP_TRY(to_status(faults));
    ESP_ASSIGN(const TurnQueue::Turn turn, queue.wait(hooks.stop));
    if (hooks.started) hooks.started(0);
    return extract_files(latents, options, *networks, {hooks.progress, hooks.stop});
  }

  std::unique_ptr<Networks> networks;
  std::unique_ptr<image::Matting> matting;  // null: none configured
  int max_shape_tokens;
  TurnQueue queue;
};

Engine::Engine(std::unique_ptr<State> state) : state_(std::move(state)) {}
Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::open(const EngineOptions& options) {
  try {
    ESP_ASSIGN(const c10::Device device, parse_device(options.device));
    ESP_ASSIGN(nn::BaseModel base, nn::BaseModel::open(find_base(options.base)));
    ESP_ASSIGN(auto networks, Networks::open(std::move(base), {device, options.bfloat16, options.memory}));
    std::unique_ptr<image::Matting> matting;
    if (!options.matting_model.empty()) {
      ESP_ASSIGN(matting, open_torchscript_matting(options.matting_model, options.device));
    }
    return std::unique_ptr<Engine>(
        new Engine(std::make_unique<State>(std::move(networks), std::move(matting), options)));
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("not enough memory to load the base model");
  } catch (const c10::Error& error) {
    return status_of(error);
  }
}

const std::string& Engine::base_name() const { return state_->networks->base().name(); }
bool Engine::has_shape() const { return state_->networks->has_shape(); }
bool Engine::has_texture() const { return state_->networks->base().has_model("tex_slat_decoder"); }

// One request: what torch and the allocator throw ends here.
template <class Work>
Result<GeneratedAssets> Engine::guarded(Work work) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("not enough memory for this request");
  } catch (const c10::Error& error) {
    return status_of(error);
  }
}

Result<GeneratedAssets> Engine::generate(const GenerateRequest& request, const GenerateHooks& hooks,
                                         std::vector<Fault>* faults) {
  return guarded([&]() -> Result<GeneratedAssets> {
    std::vector<Fault> own;
    ESP_ASSIGN(Plan plan,
               make_plan(request, *state_->networks, state_->matting.get(), faults != nullptr ? *faults : own));
    ESP_ASSIGN(const TurnQueue::Turn turn, state_->queue.wait(hooks.stop));
    const uint64_t seed = request.seed.value_or(random_seed());
    if (hooks.started) hooks.started(seed);
    return run_plan(request, std::move(plan), *state_->networks, seed, state_->max_shape_tokens,
                    {hooks.progress, hooks.stop});
  });
}

Result<GeneratedAssets> Engine::extract(const std::filesystem::path& state, const OutputOptions& options,
                                        const GenerateHooks& hooks, std::vector<Fault>* faults) {
  return guarded([&]() -> Result<GeneratedAssets> {
    std::vector<Fault> own;
    if (!has_shape()) return no_shape(base_name());
    ESP_ASSIGN(const Latents latents, read_state(state, *state_->networks, state_->max_shape_tokens));
    return state_->files_of(latents, options, hooks, faults != nullptr ? *faults : own);
  });
}

Result<GeneratedAssets> Engine::decode(const StoredLatents& stored, const OutputOptions& options,
                                       const GenerateHooks& hooks, std::vector<Fault>* faults) {
  return guarded([&]() -> Result<GeneratedAssets> {
    std::vector<Fault> own;
    if (!has_shape()) return no_shape(base_name());
    ESP_ASSIGN(const Latents latents, latents_of(stored, *state_->networks));
    return state_->files_of(latents, options, hooks, faults != nullptr ? *faults : own);
  });
}

Result<GeneratedAssets> Engine::retexture(const RetextureRequest& request, const GenerateHooks& hooks,
                                          std::vector<Fault>* faults) {
  return guarded([&]() -> Result<GeneratedAssets> {
    std::vector<Fault> own;
    ESP_ASSIGN(RetexturePlan plan, make_retexture_plan(request, *state_->networks, state_->matting.get(),
                                                       faults != nullptr ? *faults : own));
    ESP_ASSIGN(const TurnQueue::Turn turn, state_->queue.wait(hooks.stop));
    const uint64_t seed = request.seed.value_or(random_seed());
    if (hooks.started) hooks.started(seed);
    return run_retexture(request, std::move(plan), *state_->networks, seed, state_->max_shape_tokens,
                         {hooks.progress, hooks.stop});
  });
}

}  // namespace espalier::infer
