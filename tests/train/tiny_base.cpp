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
#include "nn/networks/ss_flow.h"
#include "train/torch_errors.h"

namespace espalier::train {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// What a dataset for a base looks like.
struct Form {
  double grid_scale;
  int64_t grid;  // of the latent
  int views, side;
};
constexpr Form kTiny{1.0 / 16, 2, 6, 32}, kNano{0.25, 4, 6, 128};

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

void write_base(const fs::path& folder) {
  fs::create_directories(folder / "ckpts");
  fs::create_directories(folder / "encoder");
  const json flow = {{"resolution", 2},     {"in_channels", 8},  {"out_channels", 8},   {"model_channels", 32},
                     {"cond_channels", 24}, {"num_blocks", 2},   {"num_heads", 2},      {"mlp_ratio", 2.0},
                     {"pe_mode", "rope"},   {"share_mod", true}, {"qk_rms_norm", true}, {"qk_rms_norm_cross", true}};
  const json model = {{"name", "SparseStructureFlowModel"}, {"args", flow}};
  const json encoder = {{"patch_size", 16},          {"hidden_size", 24},        {"intermediate_size", 32},
                        {"num_hidden_layers", 1},    {"num_attention_heads", 2}, {"num_register_tokens", 1},
                        {"model_type", "dinov3_vit"}};
  const json pipeline = {
      {"name", "Trellis2ImageTo3DPipeline"},
      {"args",
       {{"models", {{"sparse_structure_flow_model", "ckpts/flow"}}},
        {"image_cond_model", {{"name", "DinoV3FeatureExtractor"}, {"args", {{"model_name", "encoder"}}}}}}}};
  check(write_file_atomic(folder / "ckpts/flow.json", model.dump()));
  check(write_file_atomic(folder / "encoder/config.json", encoder.dump()));
  check(write_file_atomic(folder / "pipeline.json", pipeline.dump()));
  check(write_file_atomic(folder / "espalier.json",
                          json{{"name", "tiny"}, {"licence", "none"}, {"grid_scale", 1.0 / 16}}.dump()));
  write_random(folder / "ckpts/flow.safetensors",
               nn::SparseStructureFlow::parameter_specs(check(nn::FlowConfig::parse(flow))));
  write_random(folder / "encoder/model.safetensors",
               nn::DinoV3::parameter_specs(check(nn::DinoV3Config::parse(encoder))));
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

void write_dataset(const Form& form, const fs::path& folder, int objects) {
  fs::create_directories(folder / "files");
  dataset::Manifest manifest;
  dataset::FilesOnDisk on_disk;
  manifest.grid_scale = form.grid_scale;
  manifest.ss_resolution = static_cast<int>(4 * form.grid);
  manifest.render.views = form.views;
  manifest.render.size = form.side;
  manifest.stages["sparse_structure"].ready = true;
  manifest.stages["sparse_structure"].objects = objects;
  manifest.folders = {{"ss_latent", dataset::ss_latent_folder("random", manifest.ss_resolution)},
                      {"render_cond", "renders_cond"}};
  for (int i = 0; i < objects; ++i) {
    dataset::ObjectRecord object;
    object.sha256 = sha256_hex(absl::StrCat("object ", i));
    object.path = absl::StrCat(i, ".glb");
    object.bundle_sha256 = object.sha256;
    object.stages["sparse_structure"] = "ok";
    const auto add = [&](const std::string& path, const std::string& bytes) {
      const auto file = folder / "files" / absl::StrCat(i, "_", on_disk.size());
      check(write_file_atomic(file, bytes));
      object.files.push_back(check(dataset::record_file(path, file)));
      on_disk[path] = file;
    };
    std::vector<float> latent(static_cast<size_t>(8 * form.grid * form.grid * form.grid));
    PhiloxStream random(9, static_cast<uint32_t>(i));
    for (auto& value : latent) value = static_cast<float>(random.normal());
    add(absl::StrCat(manifest.folders["ss_latent"], "/", object.sha256, ".npz"),
        check(dataset::write_npz({{"z", dataset::make_array(latent, {8, form.grid, form.grid, form.grid})}})));
    for (int view = 0; view < form.views; ++view) {
      add(absl::StrCat("renders_cond/", object.sha256, "/", dataset::view_name(view)), view_png(form, i, view));
    }
    manifest.objects.push_back(object);
  }
  manifest.source.unique_objects = manifest.source.prepared = objects;
  check(dataset::write_dataset(manifest, on_disk, folder / "dataset.zip"));
}

}  // namespace

void write_tiny_world(const fs::path& folder, int objects) {
  write_base(folder / "base");
  write_dataset(kTiny, folder, objects);
}

void write_nano_dataset(const fs::path& folder, int objects) { write_dataset(kNano, folder, objects); }

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
