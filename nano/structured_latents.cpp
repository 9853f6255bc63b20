#include "nano/structured_latents.h"

#include <ATen/ATen.h>
#include <torch/types.h>

#include <atomic>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/log.h"
#include "common/sha256.h"
#include "nano/model_files.h"
#include "nano/objects.h"
#include "nano/parallel.h"
#include "nn/io/safetensors.h"

namespace espalier::nano {
namespace {

void mirror(mesh::Scene& scene) {
  const size_t axis = mirrors_in_y(scene) ? 1 : 0;
  for (mesh::Mesh& mesh : scene.meshes) {
    for (mesh::Vec3& p : mesh.positions) p[axis] = -p[axis];
  }
}

Result<StructuredLatent> encoded(const LatentEncoder& encoder, const mesh::Scene& scene, int resolution) {
  const at::NoGradGuard no_grad;  // of this thread
  ESP_ASSIGN(const VoxelGrid grid, encoder.kind->grid(scene, resolution));
  const nn::SparseTensor mean = encoder.network->forward(voxel_batch(*encoder.kind, {&grid, 1})).mean;
  return StructuredLatent{mean.coords.narrow(1, 1, 3).contiguous(), mean.feats};
}

// `list` under names of their own, to be written.
void store(const std::vector<StructuredLatent>& list, const std::string& prefix, nn::TensorMap& tensors) {
  for (size_t i = 0; i < list.size(); ++i) {
    tensors[absl::StrCat(prefix, i, ".coords")] = list[i].coords;
    tensors[absl::StrCat(prefix, i, ".feats")] = list[i].feats;
  }
}

std::vector<StructuredLatent> restored(const nn::TensorMap& tensors, const std::string& prefix, uint32_t count) {
  std::vector<StructuredLatent> list;
  for (uint32_t i = 0; i < count; ++i) {
    list.push_back({tensors.at(absl::StrCat(prefix, i, ".coords")), tensors.at(absl::StrCat(prefix, i, ".feats"))});
  }
  return list;
}

Result<StructuredLatents> cached(const LatentConfig& config, const std::string& key) {
  ESP_ASSIGN(const auto file, nn::SafetensorsFile::open(config.file));
  const auto found = file.metadata().find("content");
  if (found == file.metadata().end() || found->second != key) return absl::NotFoundError("made with other settings");
  ESP_ASSIGN(const nn::TensorMap tensors, file.tensors());
  return StructuredLatents{restored(tensors, "object.", config.objects),
                           restored(tensors, "mirrored.", config.objects)};
}

}  // namespace

Result<LatentEncoder> load_encoder(const LatentKind& kind, const std::filesystem::path& base) {
  LatentEncoder encoder{&kind, nullptr, ""};
  ESP_ASSIGN(const auto config, nn::ScVaeConfig::parse(kind.encoder_config().at("args")));
  ESP_ASSIGN(const nn::TensorMap weights, load_checkpoint(base, kind.encoder.stem));
  ESP_ASSIGN(encoder.network, nn::ScVaeEncoder::create(config, weights));
  ESP_ASSIGN(encoder.sha256, sha256_hex_of_file(base / absl::StrCat(kind.encoder.stem, ".safetensors")));
  return encoder;
}

Result<StructuredLatents> load_or_make_latents(const LatentEncoder& encoder, const LatentConfig& config) {
  const std::string key = absl::StrCat("seed ", config.seed, " objects ", config.objects, " resolution ",
                                       config.resolution, " encoder ", encoder.sha256);
  if (auto latents = cached(config, key); latents.ok()) return latents;
  StructuredLatents latents;
  latents.objects.resize(config.objects);
  latents.mirrored.resize(config.objects);
  std::atomic<uint32_t> made{0};
  const auto make = [&](uint32_t index) -> Status {
    mesh::Scene scene = make_object(config.seed, index).scene;
    ESP_ASSIGN(latents.objects[index], encoded(encoder, scene, config.resolution));
    mirror(scene);
    ESP_ASSIGN(latents.mirrored[index], encoded(encoder, scene, config.resolution));
    if (++made % 50 == 0) log_info("encoded", {{"objects", made.load()}, {"file", config.file.string()}});
    return absl::OkStatus();
  };
  ESP_TRY(for_each_index(config.objects, config.threads, make));
  nn::TensorMap tensors;
  store(latents.objects, "object.", tensors);
  store(latents.mirrored, "mirrored.", tensors);
  ESP_TRY(nn::write_safetensors(config.file, tensors, {{"content", key}}));
  return latents;
}

nn::LatentNormalization latent_statistics(const StructuredLatents& latents) {
  std::vector<at::Tensor> cells;
  for (const StructuredLatent& latent : latents.objects) cells.push_back(latent.feats);
  const at::Tensor all = at::cat(cells).to(at::kDouble);
  const at::Tensor mean = all.mean(0), std = all.std(0, /*unbiased=*/false);
  nn::LatentNormalization statistics;
  statistics.mean.assign(mean.const_data_ptr<double>(), mean.const_data_ptr<double>() + mean.size(0));
  statistics.std.assign(std.const_data_ptr<double>(), std.const_data_ptr<double>() + std.size(0));
  return statistics;
}

at::Tensor normalized(const at::Tensor& feats, const nn::LatentNormalization& statistics) {
  return (feats - at::tensor(statistics.mean, at::kFloat)) / at::tensor(statistics.std, at::kFloat);
}

at::Tensor denormalized(const at::Tensor& feats, const nn::LatentNormalization& statistics) {
  return feats * at::tensor(statistics.std, at::kFloat) + at::tensor(statistics.mean, at::kFloat);
}

}  // namespace espalier::nano
