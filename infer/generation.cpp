#include "infer/generation.h"

#include <torch/types.h>

#include <cmath>

#include "absl/strings/str_cat.h"
#include "infer/decode.h"
#include "infer/extraction.h"
#include "infer/object_files.h"
#include "infer/preview.h"
#include "infer/shape.h"
#include "infer/state_file.h"
#include "infer/structure.h"
#include "infer/texture.h"

namespace espalier::infer {
namespace {

constexpr int kPooling = 2;  // cells of the structure's grid per cell that tier 512 starts from

std::vector<std::vector<ovoxel::Voxel>> cells_by_sample(const at::Tensor& coords, int samples) {
  std::vector<std::vector<ovoxel::Voxel>> out(static_cast<size_t>(samples));
  const at::Tensor rows = coords.to(torch::kCPU).contiguous();
  const auto cells = rows.accessor<int32_t, 2>();
  for (int64_t i = 0; i < cells.size(0); ++i) {
    out[static_cast<size_t>(cells[i][0])].push_back({cells[i][1], cells[i][2], cells[i][3]});
  }
  return out;
}

Status nothing_found() {
  return absl::FailedPreconditionError(
      "the model found no shape for this image and seed; try another seed, image or adapter scale");
}

// One request from its condition to its files.
class Generation {
 public:
  Generation(const GenerateRequest& request, Plan plan, Networks& networks, int64_t token_limit, StageHooks hooks)
      : request_(request),
        plan_(std::move(plan)),
        networks_(networks),
        token_limit_(token_limit),
        hooks_(std::move(hooks)) {}

  Result<GeneratedAssets> run(uint64_t seed);

 private:
  Result<at::Tensor> structure_logits(const at::Tensor& condition, const Noise& noise);
  Result<ShapeLatent> shape_latent(const at::Tensor& logits, const std::map<int, at::Tensor>& conditions,
                                   const Noise& noise);
  Result<nn::SparseTensor> texture_latent(const ShapeLatent& shape, const at::Tensor& condition, const Noise& noise);
  Result<std::vector<DecodedShape>> shapes(const at::Tensor& logits, std::map<int, at::Tensor> conditions,
                                           const Noise& noise);
  Status keep(const Latents& latents);
  // Returns what previews are to show of each; nothing when none are asked for.
  Result<std::vector<mesh::Scene>> make_samples(const at::Tensor& logits, const std::vector<DecodedShape>& shapes);
  void note_resolution(const ShapeLatent& latent);

  const GenerateRequest& request_;
  Plan plan_;
  Networks& networks_;
  int64_t token_limit_;
  StageHooks hooks_;
  GeneratedAssets assets_;
  Stopwatch watch_;
};

Result<at::Tensor> Generation::structure_logits(const at::Tensor& condition, const Noise& noise) {
  at::Tensor latents;
  {
    ESP_ASSIGN(const auto flow, networks_.structure_flow.get());
    ESP_ASSIGN(latents, sample_structure(*flow, condition, request_.samples, plan_.adapters.structure, plan_.structure,
                                         noise, hooks_));
  }
  ESP_TRY(hooks_.check_stop());
  ESP_ASSIGN(const auto decoder, networks_.structure_decoder.get());
  return decoder->forward(latents);
}

Result<ShapeLatent> Generation::shape_latent(const at::Tensor& logits, const std::map<int, at::Tensor>& conditions,
                                             const Noise& noise) {
  const nn::BaseModel& base = networks_.base();
  ShapeSettings settings;
  settings.pipeline = *plan_.pipeline;
  settings.grids = scaled(*plan_.pipeline, base.grid_scale());
  settings.samples = request_.samples;
  settings.max_num_tokens = request_.max_num_tokens;
  settings.token_limit = token_limit_;
  settings.params = plan_.shape;
  settings.normalization = base.shape_slat_normalization();
  const ShapeNetworks networks{[this](int tier) { return networks_.shape_flow(tier).get(); },
                               [this] { return networks_.shape_decoder.get(); }};
  return sample_shape(networks, settings, nn::occupied_coords(logits, settings.grids.structure), conditions,
                      plan_.adapters, noise, hooks_);
}

Result<nn::SparseTensor> Generation::texture_latent(const ShapeLatent& shape, const at::Tensor& condition,
                                                    const Noise& noise) {
  const nn::BaseModel& base = networks_.base();
  ESP_ASSIGN(const auto flow, networks_.texture_flow(plan_.pipeline->tier).get());
  return sample_texture(
      *flow, shape.cells, condition,
      {request_.samples, plan_.texture, base.shape_slat_normalization(), base.tex_slat_normalization()},
      plan_.adapters.texture, noise, hooks_);
}

// Everything that comes after the structure, up to the decoded grids.
Result<std::vector<DecodedShape>> Generation::shapes(const at::Tensor& logits, std::map<int, at::Tensor> conditions,
                                                     const Noise& noise) {
  Latents latents;
  ESP_ASSIGN(latents.shape, shape_latent(logits, conditions, noise));
  note_resolution(latents.shape);
  watch_.lap("shape");
  if (plan_.textured) {
    ESP_ASSIGN(latents.texture, texture_latent(latents.shape, conditions.at(plan_.pipeline->tier), noise));
    watch_.lap("texture");
  }
  conditions.clear();  // decoding is where memory peaks
  ESP_TRY(keep(latents));
  ESP_ASSIGN(auto decoded, decode(latents, networks_, hooks_));
  watch_.lap("decode");
  return decoded;
}

Status Generation::keep(const Latents& latents) {
  if (request_.state_folder.empty()) return absl::OkStatus();
  for (size_t i = 0; i < assets_.samples.size(); ++i) {
    assets_.samples[i].state = request_.state_folder / absl::StrCat("state_", i, ".safetensors");
    ESP_TRY(write_state(assets_.samples[i].state, latents, static_cast<int64_t>(i), networks_));
  }
  return absl::OkStatus();
}

void Generation::note_resolution(const ShapeLatent& latent) {
  assets_.pipeline = std::string(plan_.pipeline->name);
  assets_.representation = Representation::kDualGrid;
  assets_.shape = plan_.shape;
  assets_.texture = plan_.texture;
  assets_.textured = plan_.textured;
  for (size_t i = 0; i < assets_.samples.size(); ++i) {
    assets_.samples[i].shape_tokens = latent.cells.offsets[i + 1] - latent.cells.offsets[i];
  }
  assets_.resolution =
      static_cast<int>(std::lround(static_cast<double>(latent.voxels) / networks_.base().grid_scale()));
  const int64_t tokens = latent.cells.rows();
  if (plan_.pipeline->is_cascade() && tokens >= request_.max_num_tokens) {
    assets_.warnings.push_back(absl::StrCat("the shape has ", tokens, " tokens at ", assets_.resolution,
                                            ", the lowest resolution of the cascade, and not fewer than ",
                                            request_.max_num_tokens));
  } else if (assets_.resolution < plan_.resolution) {
    assets_.warnings.push_back(absl::StrCat("the resolution was lowered from ", plan_.resolution, " to ",
                                            assets_.resolution, " to stay below ", request_.max_num_tokens, " tokens"));
  }
}

Result<std::vector<mesh::Scene>> Generation::make_samples(const at::Tensor& logits,
                                                          const std::vector<DecodedShape>& shapes) {
  std::vector<mesh::Scene> scenes;
  const bool pooled = request_.pooled_structure && plan_.pipeline == nullptr && plan_.resolution == 512;
  assets_.structure_resolution = static_cast<int>(logits.size(2)) / (pooled ? kPooling : 1);
  auto cells = cells_by_sample(nn::occupied_coords(logits, assets_.structure_resolution), request_.samples);
  for (size_t i = 0; i < cells.size(); ++i) {
    ESP_TRY(hooks_.check_stop());
    GeneratedSample& sample = assets_.samples[i];
    sample.voxels = std::move(cells[i]);
    if (sample.voxels.empty()) return nothing_found();
    const DecodedShape* shape = shapes.empty() ? nullptr : &shapes[i];
    ESP_ASSIGN(mesh::Scene shown, make_files(shape, assets_.structure_resolution, request_, hooks_, sample));
    if (request_.preview) scenes.push_back(std::move(shown));
    warn_of_triangles(request_, i, assets_);
    if (hooks_.progress) hooks_.progress("mesh", static_cast<int>(i) + 1, request_.samples);
  }
  return scenes;
}

Result<GeneratedAssets> Generation::run(uint64_t seed) {
  const at::NoGradGuard no_gradients;
  const Noise noise = seeded_noise(seed);
  assets_.seed = seed;
  assets_.resolution = plan_.resolution;
  assets_.sparse_structure = plan_.structure;
  assets_.samples.resize(static_cast<size_t>(request_.samples));

  ESP_ASSIGN(auto conditions, encode(plan_.images, networks_, hooks_));
  watch_.lap("condition");
  ESP_ASSIGN(const at::Tensor logits, structure_logits(conditions.at(kStructureTier), noise));
  watch_.lap("sparse_structure");
  std::vector<DecodedShape> decoded;
  if (plan_.pipeline != nullptr) {
    ESP_ASSIGN(decoded, shapes(logits, std::move(conditions), noise));
  }
  ESP_ASSIGN(std::vector<mesh::Scene> scenes, make_samples(logits, decoded));
  watch_.lap("mesh");
  ESP_TRY(add_previews(std::move(scenes), request_.preview, hooks_, assets_));
  if (request_.preview) watch_.lap("preview");
  assets_.seconds = watch_.seconds();
  return std::move(assets_);
}

}  // namespace

Result<GeneratedAssets> run_plan(const GenerateRequest& request, Plan plan, Networks& networks, uint64_t seed,
                                 int64_t token_limit, StageHooks hooks) {
  return Generation(request, std::move(plan), networks, token_limit, std::move(hooks)).run(seed);
}

const std::string& GeneratedSample::file(FileFormat format) const {
  static const std::string kNone;
  for (const GeneratedFile& file : files) {
    if (file.format == format) return file.bytes;
  }
  return kNone;
}

}  // namespace espalier::infer
