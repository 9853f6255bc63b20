#include "infer/condition.h"

#include <torch/types.h>

#include <cmath>

#include "image/codec.h"
#include "image/condition_image.h"

namespace espalier::infer {

void add_image_fault(const Result<ConditionImages>& images, std::vector<Fault>& faults) {
  if (images.ok() || (absl::IsFailedPrecondition(images.status()) && faults.empty())) return;
  faults.push_back({"image", std::string(images.status().message())});
}

Result<ConditionImages> condition_images(const std::string& encoded, image::BackgroundRemoval background,
                                         const std::vector<int>& tiers, double grid_scale, image::Matting* matting) {
  ESP_ASSIGN(const image::DecodedImage decoded, image::decode(encoded));
  ESP_ASSIGN(const image::Image object, image::preprocess_image(decoded.image, background, matting));
  ConditionImages images;
  for (const int tier : tiers) {
    ESP_ASSIGN(images[tier],
               image::inference_condition_image(object, static_cast<int>(std::lround(tier * grid_scale))));
  }
  return images;
}

Result<std::map<int, at::Tensor>> encode(const ConditionImages& images, Networks& networks, const StageHooks& hooks) {
  ESP_ASSIGN(const auto encoder, networks.encoder.get());
  std::map<int, at::Tensor> tokens;
  for (const auto& [tier, planes] : images) {
    ESP_TRY(hooks.check_stop());
    std::vector<float> normalised = planes;
    image::normalise_imagenet(normalised);
    const auto side = std::lround(std::sqrt(static_cast<double>(planes.size()) / 3));
    const at::Tensor pixels = torch::from_blob(normalised.data(), {1, 3, side, side}, torch::kFloat32);
    tokens[tier] = encoder->forward(pixels.to(networks.device(), torch::kFloat32, /*non_blocking=*/false,
                                              /*copy=*/true));
    if (hooks.progress) hooks.progress("condition", static_cast<int>(tokens.size()), static_cast<int>(images.size()));
  }
  return tokens;
}

}  // namespace espalier::infer
