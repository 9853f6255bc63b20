#include "nano/shape_latents.h"

#include <ATen/ATen.h>
#include <torch/types.h>

#include <atomic>

#include "absl/strings/str_cat.h"
#include "common/log.h"
#include "nano/objects.h"
#include "nano/parallel.h"
#include "nano/shape_grids.h"
#include "nn/io/safetensors.h"

namespace espalier::nano {
namespace {

void mirror(mesh::Scene& scene) {
  const size_t axis = mirrors_in_y(scene) ? 1 : 0;
  for (mesh::Mesh& mesh : scene.meshes) {
    for (mesh::Vec3& p : mesh.positions) p[axis] = -p[axis];
  }
}

Result<StructuredLatent> encoded(const nn::ScVaeEncoder& encoder, const mesh::Scene& scene, int resolution) {
  const at::NoGradGuard no_grad;  // of this thread
  ESP_ASSIGN(const ShapeGrid grid, shape_grid(scene, resolution));
  const nn::SparseTensor mean = encoder.forward(shape_batch({&grid, 1})).mean;
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

Result<ShapeLatents> cached(const LatentConfig& config, const std::string& key) {
  ESP_ASSIGN(const auto file, nn::SafetensorsFile::open(config.file));
  const auto found = file.metadata().find("content");
  if (found == file.metadata().end() || found->second != key) return absl::NotFoundError("made with other settings");
  ESP_ASSIGN(const nn::TensorMap tensors, file.tensors());
  return ShapeLatents{restored(tensors, "object.", config.objects), restored(tensors, "mirrored.", config.objects)};
}

}  // namespace

Result<ShapeLatents> load_or_make_shape_latents(const nn::ScVaeEncoder& encoder, const LatentConfig& config) {
  const std::string key = absl::StrCat("seed ", config.seed, " objects ", config.objects, " resolution ",
                                       config.resolution, " encoder ", config.encoder_sha256);
  if (auto latents = cached(config, key); latents.ok()) return latents;
  ShapeLatents latents;
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

nn::LatentNormalization latent_statistics(const ShapeLatents& latents) {
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

}  // namespace espalier::nano
