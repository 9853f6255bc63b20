#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/status.h"
#include "infer/request.h"

namespace espalier::infer {

struct EngineOptions {
  std::filesystem::path base{};           // folder of the base model
  std::string device = "cpu";             // or "cuda", "cuda:1" where this build and machine have it
  bool bfloat16 = false;                  // run the denoiser's blocks in bfloat16 instead of float32
  int max_waiting = 16;                   // requests that may wait for the one that runs
  std::filesystem::path matting_model{};  // TorchScript file for images without transparency; empty: none
};

struct GenerateHooks {
  std::function<void(uint64_t seed)> started;  // once, after every check and before any work
  // `stage` is condition, sparse_structure or mesh; network evaluations (or samples) done of all in this stage.
  std::function<void(std::string_view stage, int done, int total)> progress;
  std::stop_token stop;  // looked at before every network evaluation
};

struct GeneratedSample {
  std::string glb;                             // binary glTF 2.0, Y up
  std::vector<std::array<int32_t, 3>> voxels;  // occupied cells, ascending (x, y, z)
};

struct GeneratedAssets {
  std::vector<GeneratedSample> samples;
  uint64_t seed = 0;
  int resolution = 0;            // the tier used
  int structure_resolution = 0;  // cells per side that `voxels` count in
  SamplerParams sparse_structure;
  std::vector<std::pair<std::string, double>> seconds;  // stage, wall time; in the order they ran
};

// Image to 3D on one base model, with optional adapters: foreground, image features, sparse structure, surface, GLB.
//
// open() loads the networks once. generate() may be called from any thread; calls are checked at once and then run one
// after another in order of arrival. The base's weights are never changed: adapters are separate branches that live
// for one call.
class Engine {
 public:
  // NOT_FOUND, DATA_LOSS, INVALID_ARGUMENT: a missing, broken or unfitting file, named.
  static Result<std::unique_ptr<Engine>> open(const EngineOptions& options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  const std::string& base_name() const;

  // `faults`: on the way in what the caller has found wrong already, which also refuses the request; on the way out all
  // faults. Optional. An adapter with an empty path counts as refused by the caller.
  // INVALID_ARGUMENT with all faults at once; FAILED_PRECONDITION: an opaque image
  // that needs a matting model, or no structure came out; RESOURCE_EXHAUSTED: queue or memory; CANCELLED: stopped.
  // Equal requests with a seed give equal results on one kind of machine.
  Result<GeneratedAssets> generate(const GenerateRequest& request, const GenerateHooks& hooks = {},
                                   std::vector<Fault>* faults = nullptr);

 private:
  struct State;
  explicit Engine(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace espalier::infer
