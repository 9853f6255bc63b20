#include "tests/train/tiny_base.h"

#include <torch/types.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/files.h"
#include "common/philox.h"
#include "common/sha256.h"
#include "dataset/layout.h"
#include "dataset/npz.h"
#include "dataset/writer.h"
#include "image/codec.h"
#include "nn/io/safetensors.h"
#include "nn/networks/dinov3.h"
#include "nn/networks/sc_vae.h"
#include "nn/networks/slat_flow.h"
#include "train/torch_errors.h"

namespace espalier::train {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// What a dataset for a base looks like.
struct Form {
  double grid_scale;
  int64_t grid;  // of the sparse-structure latent
  int views, side;
  int resolution = 512;
  int shape_channels = 0, texture_channels = 0;  // 0: no such latents
};
constexpr Form kNano{0.25, 4, 6, 128};
Form tiny(int resolution) { return {1.0 / 16, 2, 6, 32, resolution, 6, 5}; }

void check(const Status& status) {
  if (!status.ok()) throw StatusError(status);
}
template <class T>
T check(Result<T> result) {
  check(result.status());
  return *std::move(result);
}

// Every weight random, so that gradients reach everything (a fresh network would return zeros).
void write_random(const fs::path& path, const std::vector<nn::ParameterSpec>& specs) {
  nn::TensorMap tensors;
  uint32_t stream = 0;
  for (const auto& spec : specs) {
    PhiloxStream random(17, stream++);
    auto tensor = torch::empty(spec.shape, torch::kFloat32);
    auto* values = tensor.data_ptr<float>();
    for (int64_t i = 0; i < tensor.numel(); ++i) values[i] = static_cast<float>(0.15 * random.normal());
    tensors.emplace(spec.name, tensor);
  }
  check(nn::write_safetensors(path, tensors));
}

json flow_args(int resolution, int channels, int beside = 0) {
  return {{"resolution", resolution}, {"in_channels", channels + beside},
          {"out_channels", channels}, {"model_channels", 32},
          {"cond_channels", 24},      {"num_blocks", 2},
          {"num_heads", 2},           {"mlp_ratio", 2.0},
          {"pe_mode", "rope"},        {"share_mod", true},
          {"qk_rms_norm", true},      {"qk_rms_norm_cross", true}};
}

void write_flow(const fs::path& stem, const std::string& name, const json& args) {
  check(write_file_atomic(stem.string() + ".json", json{{"name", name}, {"args", args}}.dump()));
  write_random(stem.string() + ".safetensors", nn::SLatFlow::parameter_specs(check(nn::FlowConfig::parse(args))));
}

void write_image_encoder(const fs::path& folder) {
  const json encoder = {{"patch_size", 16},          {"hidden_size", 24},        {"intermediate_size", 32},
                        {"num_hidden_layers", 1},    {"num_attention_heads", 2}, {"num_register_tokens", 1},
                        {"model_type", "dinov3_vit"}};
  fs::create_directories(folder);
  check(write_file_atomic(folder / "config.json", encoder.dump()));
  write_random(folder / "model.safetensors", nn::DinoV3::parameter_specs(check(nn::DinoV3Config::parse(encoder))));
}

void write_voxel_encoder(const fs::path& stem, const char* name, int channels) {
  const json args = {{"model_channels", {8, 8}},
                     {"num_blocks", {0, 0}},
                     {"latent_channels", channels},
                     {"block_type", {"SparseConvNeXtBlock3d", "SparseConvNeXtBlock3d"}},
                     {"down_block_type", json::array({"SparseResBlockS2C3d"})},
                     {"block_args", {json::object(), json::object()}}};
  check(write_file_atomic(stem.string() + ".json", json{{"name", name}, {"args", args}}.dump()));
  write_random(stem.string() + ".safetensors", nn::ScVaeEncoder::parameter_specs(check(nn::ScVaeConfig::parse(args))));
}

void write_base(const fs::path& folder) {
  fs::create_directories(folder / "ckpts");
  const json models = {{"sparse_structure_flow_model", "ckpts/flow"},
                       {"shape_slat_flow_model_512", "ckpts/shape_512"},
                       {"shape_slat_flow_model_1024", "ckpts/shape_1024"},
                       {"tex_slat_flow_model_512", "ckpts/tex_512"},
                       {"tex_slat_flow_model_1024", "ckpts/tex_1024"}};
  const std::vector<double> mean = {0, 1, -1, 0.5, 0, 2}, std = {1, 2, 1.5, 1, 3, 1};
  const std::vector<double> tex_mean = {-1, 0.5, 0, 1, 0}, tex_std = {2, 1, 1, 0.5, 1.5};
  const json pipeline = {
      {"name", "Trellis2ImageTo3DPipeline"},
      {"args",
       {{"models", models},
        {"shape_slat_normalization", {{"mean", mean}, {"std", std}}},
        {"tex_slat_normalization", {{"mean", tex_mean}, {"std", tex_std}}},
        {"image_cond_model", {{"name", "DinoV3FeatureExtractor"}, {"args", {{"model_name", "encoder"}}}}}}}};
  const json about = {
      {"name", "tiny"},
      {"licence", "none"},
      {"grid_scale", 1.0 / 16},
      {"models", {{"shape_slat_encoder", "ckpts/shape_encoder"}, {"tex_slat_encoder", "ckpts/tex_encoder"}}}};
  check(write_file_atomic(folder / "pipeline.json", pipeline.dump()));
  check(write_file_atomic(folder / "espalier.json", about.dump()));
  write_flow(folder / "ckpts/flow", "SparseStructureFlowModel", flow_args(2, 8));
  write_flow(folder / "ckpts/shape_512", "SLatFlowModel", flow_args(2, 6));
  write_flow(folder / "ckpts/shape_1024", "SLatFlowModel", flow_args(4, 6));
  write_flow(folder / "ckpts/tex_512", "SLatFlowModel", flow_args(2, 5, 6));
  write_flow(folder / "ckpts/tex_1024", "SLatFlowModel", flow_args(4, 5, 6));
  write_voxel_encoder(folder / "ckpts/shape_encoder", "FlexiDualGridVaeEncoder", 6);
  write_voxel_encoder(folder / "ckpts/tex_encoder", "SparseUnetVaeEncoder", 5);
  write_image_encoder(folder / "encoder");
}

std::string view_png(const Form& form, int object, int view) {
  const int side = form.side;
  image::Image picture{side, side, 4, std::vector<uint8_t>(static_cast<size_t>(side * side * 4))};
  PhiloxStream random(5, static_cast<uint32_t>(object), static_cast<uint32_t>(view));
  for (int y = side / 5; y < side * 4 / 5; ++y) {
    for (int x = side / 4; x < side * 3 / 4; ++x) {
      auto* pixel = picture.at(x, y);
      for (int c = 0; c < 3; ++c) pixel[c] = static_cast<uint8_t>(random.below(256));
      pixel[3] = 255;
    }
  }
  return check(image::encode_png(picture));
}

std::vector<float> random_values(uint32_t stream, int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  PhiloxStream random(9, stream);
  for (auto& value : values) value = static_cast<float>(random.normal());
  return values;
}

// Random features on a part of the cells of a cube, of another number for each object.
std::string structured_latent(uint32_t stream, int channels, int cells_per_side, int object) {
  std::vector<uint8_t> coords;
  const int cells = cells_per_side * cells_per_side * cells_per_side;
  const int tokens = cells - object % (cells / 2);
  for (int cell = 0; cell < tokens; ++cell) {
    coords.insert(coords.end(), {static_cast<uint8_t>(cell / (cells_per_side * cells_per_side)),
                                 static_cast<uint8_t>(cell / cells_per_side % cells_per_side),
                                 static_cast<uint8_t>(cell % cells_per_side)});
  }
  const auto feats = random_values(stream + static_cast<uint32_t>(object), int64_t{tokens} * channels);
  return check(dataset::write_npz({{"coords", dataset::make_array(coords, {tokens, 3})},
                                   {"feats", dataset::make_array(feats, {tokens, channels})}}));
}

// Makes the objects of a dataset, one file after the other.
class DatasetMaker {
 public:
  DatasetMaker(const Form& form, fs::path folder) : form_(form), folder_(std::move(folder)) {
    fs::create_directories(folder_ / "files");
    manifest_.resolution = form.resolution;
    manifest_.grid_scale = form.grid_scale;
    manifest_.ss_resolution = static_cast<int>(4 * form.grid);
    manifest_.render.views = form.views;
    manifest_.render.size = form.side;
    manifest_.folders = {{"ss_latent", dataset::ss_latent_folder("random", manifest_.ss_resolution)},
                         {"shape_latent", dataset::shape_latent_folder("random", form.resolution)},
                         {"pbr_latent", dataset::pbr_latent_folder("random", form.resolution)},
                         {"render_cond", "renders_cond"}};
  }

  void add(int index, bool too_large, bool bare) {
    dataset::ObjectRecord object;
    object.sha256 = sha256_hex(absl::StrCat("object ", index));
    object.path = absl::StrCat(index, ".glb");
    object.bundle_sha256 = object.sha256;
    const auto z =
        dataset::make_array(random_values(static_cast<uint32_t>(index), 8 * form_.grid * form_.grid * form_.grid),
                            {8, form_.grid, form_.grid, form_.grid});
    add_file(object, absl::StrCat(manifest_.folders["ss_latent"], "/", object.sha256, ".npz"),
             check(dataset::write_npz({{"z", z}})));
    object.stages["sparse_structure"] = "ok";
    if (too_large) {
      object.status = "partial";
      object.stages["geometry"] = object.stages["texture"] = "too_many_tokens";
    } else if (form_.shape_channels > 0) {
      add_latent(object, "geometry", "shape_latent", 100, form_.shape_channels, index);
      object.stages["texture"] = "no_material";
      if (!bare) add_latent(object, "texture", "pbr_latent", 200, form_.texture_channels, index);
    }
    for (int view = 0; view < form_.views; ++view) {
      add_file(object, absl::StrCat("renders_cond/", object.sha256, "/", dataset::view_name(view)),
               view_png(form_, index, view));
    }
    manifest_.objects.push_back(object);
  }

  void finish(const std::map<std::string, std::string>& encoder_digests) {
    const auto objects = static_cast<int64_t>(manifest_.objects.size());
    for (const char* name : {"sparse_structure", "geometry", "texture"}) {
      auto& stage = manifest_.stages[name];
      for (const auto& object : manifest_.objects) stage.objects += dataset::is_usable(object, name);
      stage.ready = stage.objects > 0;
    }
    for (const auto& [kind, digest] : encoder_digests) manifest_.encoders[kind] = {kind + "_encoder", digest, "fp32"};
    manifest_.source.unique_objects = manifest_.source.prepared = objects;
    check(dataset::write_dataset(manifest_, on_disk_, folder_ / "dataset.zip"));
  }

 private:
  void add_latent(dataset::ObjectRecord& object, const char* stage, const char* folder, uint32_t stream, int channels,
                  int index) {
    object.stages[stage] = "ok";
    add_file(object, absl::StrCat(manifest_.folders[folder], "/", object.sha256, ".npz"),
             structured_latent(stream, channels, dataset::latent_grid(manifest_), index));
  }

  void add_file(dataset::ObjectRecord& object, const std::string& path, const std::string& bytes) {
    const auto file = folder_ / "files" / std::to_string(on_disk_.size());
    check(write_file_atomic(file, bytes));
    object.files.push_back(check(dataset::record_file(path, file)));
    on_disk_[path] = file;
  }

  const Form form_;
  const fs::path folder_;
  dataset::Manifest manifest_;
  dataset::FilesOnDisk on_disk_;
};

}  // namespace

void write_tiny_world(const fs::path& folder, const TinyWorld& world) {
  write_base(folder / "base");
  DatasetMaker dataset(tiny(world.resolution), folder);
  for (int i = 0; i < world.objects; ++i) dataset.add(i, i < world.too_large, i < world.bare);
  const auto digest = [&](const char* name) { return check(sha256_hex_of_file(folder / "base/ckpts" / name)); };
  dataset.finish({{"shape", digest("shape_encoder.safetensors")}, {"pbr", digest("tex_encoder.safetensors")}});
}

void write_nano_dataset(const fs::path& folder, int objects) {
  DatasetMaker dataset(kNano, folder);
  for (int i = 0; i < objects; ++i) dataset.add(i, false, false);
  dataset.finish({});
}

TrainConfig tiny_config(const fs::path& folder, const std::string& name) {
  TrainConfig config;
  config.dataset = folder / "dataset.zip";
  config.base = folder / "base";
  config.output = folder / (name + ".safetensors");
  config.rank = 16;
  config.steps = 100;
  config.learning_rate = 2e-3;
  config.batch_size = 4;
  config.save_dtype = "fp32";
  config.threads = 1;
  config.holdout_views = {5};
  return config;
}

}  // namespace espalier::train
