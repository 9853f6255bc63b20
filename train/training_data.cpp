#include "train/training_data.h"

#include <torch/types.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "image/codec.h"
#include "image/condition_image.h"
#include "train/torch_errors.h"

namespace espalier::train {
namespace {

constexpr size_t kMaxValidationViews = 32;

// One of 5..11 by the object's hash: neither the lowest nor the steepest of the cameras, which are ordered by pitch.
int64_t fixed_view(const dataset::Object& object) {
  const auto views = static_cast<int64_t>(object.views());
  const int64_t low = views > 11 ? 5 : 0, high = views > 11 ? 11 : views - 1;
  const auto hash = std::stoull(object.sha256.substr(0, 8), nullptr, 16);
  return low + static_cast<int64_t>(hash % static_cast<uint64_t>(high - low + 1));
}

}  // namespace

Status TrainingData::add(const dataset::Object& object, int64_t channels, int64_t grid, const TrainConfig& config) {
  if (object.ss_channels != channels || object.ss_grid != grid) {
    return absl::InvalidArgumentError(absl::StrCat("dataset: latents are ", object.ss_channels, " x ", object.ss_grid,
                                                   "^3, the base model takes ", channels, " x ", grid,
                                                   "^3: it was prepared for another base"));
  }
  std::vector<int64_t> views;
  for (int64_t view = 0; view < static_cast<int64_t>(object.views()); ++view) {
    const auto& held = config.holdout_views;
    if (std::find(held.begin(), held.end(), view) == held.end()) views.push_back(view);
  }
  if (views.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("holdout_view: object ", object.sha256, " has no view left to train on"));
  }
  ESP_ASSIGN(auto values, object.ss_latent());
  latents_.push_back(torch::tensor(values).view({channels, grid, grid, grid}));
  views_.push_back(std::move(views));
  objects_.push_back(object);
  return absl::OkStatus();
}

Result<TrainingData> TrainingData::open(const TrainConfig& config, int64_t channels, int64_t grid) {
  ESP_ASSIGN(auto opened, dataset::PreparedDataset::open(config.dataset));
  if (opened.manifest().resolution != config.resolution) {
    return absl::InvalidArgumentError(absl::StrCat(
        "resolution: ", config.resolution, ", but the dataset was prepared for ", opened.manifest().resolution));
  }
  TrainingData data(std::move(opened));
  data.holdout_ = config.holdout_views;
  for (const char* split : {"train", "val"}) {
    for (const auto& object : data.dataset_.objects()) {
      if (object.split != split) continue;
      ESP_TRY(data.add(object, channels, grid, config));
      if (object.split == "train") data.repeats_.push_back(object.repeat);
    }
  }
  if (data.repeats_.empty()) {
    return absl::InvalidArgumentError("dataset: no object to train on (none is usable, or all are of split 'val')");
  }
  return data;
}

at::Tensor TrainingData::picture(int64_t item, int64_t view, int size) const {
  const auto& object = objects_[static_cast<size_t>(item)];
  const auto read = [&]() -> Result<std::vector<float>> {
    ESP_ASSIGN(const auto png, object.view_png(static_cast<size_t>(view)));
    ESP_ASSIGN(const auto decoded, image::decode(png));
    return image::training_condition_image(decoded.image, size);
  };
  const auto planes = read();
  if (!planes.ok()) throw StatusError(annotate(planes.status(), object.view_paths[static_cast<size_t>(view)]));
  return torch::tensor(*planes).view({1, 3, size, size});
}

std::vector<TrainingData::View> TrainingData::validation_views() const {
  const auto all = static_cast<int64_t>(objects_.size());
  std::vector<View> views;
  for (int64_t item = all > size() ? size() : 0; item < all; ++item) {
    const auto& object = objects_[static_cast<size_t>(item)];
    if (holdout_.empty()) views.push_back({item, fixed_view(object)});
    for (const int view : holdout_) {
      if (view < static_cast<int>(object.views())) views.push_back({item, view});
    }
  }
  if (views.size() <= kMaxValidationViews) return views;
  std::vector<View> spread;
  for (size_t i = 0; i < kMaxValidationViews; ++i) spread.push_back(views[i * views.size() / kMaxValidationViews]);
  return spread;
}

}  // namespace espalier::train
