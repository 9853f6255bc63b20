#include "infer/structure.h"

#include <ATen/CPUGeneratorImpl.h>
#include <torch/types.h>

#include "absl/strings/str_cat.h"
#include "common/sha256.h"
#include "image/condition_image.h"
#include "nn/io/load_model.h"

namespace espalier::infer {
namespace {

constexpr const char* kDenoiser = "sparse_structure";

}  // namespace

Result<std::unique_ptr<StructureStage>> StructureStage::load(const nn::BaseModel& base, c10::Device device,
                                                             bool bfloat16) {
  ESP_ASSIGN(const nn::ModelFiles files, base.model_files("sparse_structure_flow_model"));
  std::unique_ptr<StructureStage> stage(new StructureStage(device, files.weights));
  const nn::LoadOptions wide{torch::kFloat32, device};
  ESP_ASSIGN(stage->encoder_, nn::load_image_encoder(base, wide));
  ESP_ASSIGN(stage->flow_, nn::load_ss_flow(base, {bfloat16 ? torch::kBFloat16 : torch::kFloat32, device}));
  ESP_ASSIGN(stage->decoder_, nn::load_ss_decoder(base, wide));
  return stage;
}

Result<std::string> StructureStage::weights_digest() {
  const std::lock_guard lock(mutex_);
  if (digest_.empty()) {
    ESP_ASSIGN(digest_, sha256_hex_of_file(weights_));
  }
  return digest_;
}

Result<LoadedAdapter> StructureStage::read_adapter(const std::filesystem::path& file, double scale) {
  ESP_ASSIGN(const nn::AdapterInfo info, nn::read_adapter_info(file));
  nn::AdapterSlot slot;
  slot.denoiser = kDenoiser;
  if (!info.base_sha256.empty()) {
    ESP_ASSIGN(slot.base_sha256, weights_digest());
  }
  ESP_ASSIGN(nn::AdapterFile read, nn::read_adapter(file, flow_->lora_targets(), slot));
  for (auto& [module, pair] : read.adapter.modules) {
    pair.a = pair.a.to(device_);
    pair.b = pair.b.to(device_);
  }
  return LoadedAdapter{std::move(read.adapter), scale};
}

at::Tensor StructureStage::condition(const std::vector<float>& planes, int side) const {
  std::vector<float> normalised = planes;
  image::normalise_imagenet(normalised);
  const auto pixels = torch::from_blob(normalised.data(), {1, 3, side, side}, torch::kFloat32);
  return encoder_->forward(pixels.to(device_, torch::kFloat32, /*non_blocking=*/false, /*copy=*/true));
}

Result<at::Tensor> StructureStage::sample_latents(const at::Tensor& condition, int samples, uint64_t seed,
                                                  const std::vector<LoadedAdapter>& adapters,
                                                  const SamplerParams& params, const SamplerHooks& hooks) {
  std::vector<nn::AdapterScope> attached;
  for (const LoadedAdapter& adapter : adapters) {
    if (adapter.scale == 0) continue;
    ESP_ASSIGN(attached.emplace_back(),
               nn::AdapterScope::attach(adapter.weights, flow_->lora_targets(), adapter.scale));
  }
  const int64_t side = flow_->config().resolution;
  const auto noise = torch::randn({samples, flow_->config().in_channels, side, side, side},
                                  at::detail::createCPUGenerator(seed), torch::kFloat32);
  const at::Tensor with = condition.expand({samples, -1, -1}), without = torch::zeros_like(with);
  const Predict predict = [&](const at::Tensor& x, float t, Conditioning conditioning) {
    const auto time = torch::full({samples}, t, torch::dtype(torch::kFloat32).device(device_));
    return flow_->forward(x, time, conditioning == Conditioning::kImage ? with : without);
  };
  return sample(predict, noise.to(device_), params, {}, hooks);
}

at::Tensor StructureStage::decode(const at::Tensor& latents) const { return decoder_->forward(latents); }

}  // namespace espalier::infer
