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
  std::string device = "cpu";             // or "cuda", "cuda:1" where this build and machine have it; or "auto"
  bool bfloat16 = false;                  // run the denoisers' blocks in bfloat16 instead of float32
  std::string memory = "auto";            // networks: resident, low (one at a time, loaded when used), auto: by size
  int max_shape_tokens = 131072;          // of one request, over its samples; one that comes out larger fails
  int max_waiting = 16;                   // requests that may wait for the one that runs
  std::filesystem::path matting_model{};  // TorchScript file for images without transparency; empty: none
};

struct GenerateHooks {
  std::function<void(uint64_t seed)> started;  // once, after every check and before any work
  // `stage` is condition, sparse_structure, shape_low (of a cascade), shape, texture, decode, mesh, bake or preview;
  // of a retexturing condition, encode, texture, decode, bake and preview; network evaluations, images, samples, views
  // or percent done of all in this stage.
  std::function<void(std::string_view stage, int done, int total)> progress;
  std::stop_token stop;  // looked at before every network evaluation and between the stages
};

// What a mesh is the surface of.
enum class Representation {
  kOccupancy,  // the occupied cells of the coarse structure, smoothed
  kDualGrid,   // the flexible dual grid that the shape decoder gave
  kGivenMesh,  // the caller's own
};

struct GeneratedFile {
  FileFormat format;
  std::string bytes;
};

struct GeneratedSample {
  std::vector<GeneratedFile> files;            // as the request's formats
  std::vector<std::array<int32_t, 3>> voxels;  // occupied cells of the structure, ascending (x, y, z)
  int64_t shape_tokens = 0;                    // cells of the structured latent; 0 without a shape
  int64_t shape_voxels = 0;                    // of the decoded grid
  int64_t vertices = 0, triangles = 0;         // of the mesh in the files
  int64_t holes_closed = 0;
  std::filesystem::path state;  // its latents, in the request's state_folder; empty: not kept

  const std::string& file(FileFormat format) const;  // empty when it was not asked for
};

struct GeneratedAssets {
  std::vector<GeneratedSample> samples;
  uint64_t seed = 0;
  Representation representation = Representation::kOccupancy;
  std::string pipeline;          // empty without a shape
  int resolution = 0;            // reached, as in the request: lower than asked for when there were too many tokens
  int structure_resolution = 0;  // cells per side that `voxels` count in
  bool textured = false;
  SamplerParams sparse_structure, shape, texture;
  std::vector<std::pair<std::string, double>> seconds;  // stage, wall time; in the order they ran
  std::vector<std::string> warnings;                    // for people
};

// Latents of one object as datasets store them.
struct StoredLatents {
  int cells_per_side = 0;                     // of the latent grid; 16 voxels for each
  std::vector<std::array<int32_t, 3>> cells;  // [T], each once
  std::vector<float> shape;                   // [T, C] in the shape decoder's space
  std::vector<float> texture;                 // [T, Ct] likewise, or empty
};

// Image to 3D on one base model, with optional adapters: foreground, image features, sparse structure, shape, texture,
// mesh, files. A base without networks for the texture gives the bare shape, one without networks for the shape the
// surface of the structure.
//
// open() checks all networks and loads those that stay. The calls may come from any thread; they are checked at once
// and then run one after another in order of arrival. The base's weights are never changed: adapters are separate
// branches that live for one call.
class Engine {
 public:
  // NOT_FOUND, DATA_LOSS, INVALID_ARGUMENT: a missing, broken or unfitting file, named.
  static Result<std::unique_ptr<Engine>> open(const EngineOptions& options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  const std::string& base_name() const;
  bool has_shape() const;    // the base has networks to make and decode one
  bool has_texture() const;  // likewise to decode one

  // `faults`: on the way in what the caller has found wrong already, which also refuses the request; on the way out all
  // faults. Optional. An adapter with an empty path counts as refused by the caller.
  // INVALID_ARGUMENT with all faults at once; FAILED_PRECONDITION: an opaque image
  // that needs a matting model, a stage that the base lacks, or nothing came out of a stage; RESOURCE_EXHAUSTED: queue,
  // tokens or memory; CANCELLED: stopped.
  // Equal requests with a seed give equal results on one kind of machine.
  Result<GeneratedAssets> generate(const GenerateRequest& request, const GenerateHooks& hooks = {},
                                   std::vector<Fault>* faults = nullptr);

  // Other files of an object that was generated before. `state`: a file that generate() wrote; what is in it is not
  // trusted. The seed told and returned is 0.
  // Errors as generate(), and of the state: NOT_FOUND, DATA_LOSS, FAILED_PRECONDITION (made with other decoders).
  Result<GeneratedAssets> extract(const std::filesystem::path& state, const OutputOptions& options,
                                  const GenerateHooks& hooks = {}, std::vector<Fault>* faults = nullptr);

  // The files of what stored latents stand for. The seed told and returned is 0.
  // Errors as generate(); INVALID_ARGUMENT: latents that do not fit the base's decoders.
  Result<GeneratedAssets> decode(const StoredLatents& stored, const OutputOptions& options,
                                 const GenerateHooks& hooks = {}, std::vector<Fault>* faults = nullptr);

  // A texture for a mesh that fits an image. The one sample has a GLB of the mesh where it was.
  // Errors as generate(); FAILED_PRECONDITION: the base lacks the shape's encoder or the texture.
  Result<GeneratedAssets> retexture(const RetextureRequest& request, const GenerateHooks& hooks = {},
                                    std::vector<Fault>* faults = nullptr);

 private:
  struct State;
  template <class Work>
  Result<GeneratedAssets> guarded(Work work);
  explicit Engine(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace espalier::infer
