#include "train/training_data.h"

#include <torch/types.h>

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
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

struct Latent {
  at::Tensor values, coords, shape;
};

Result<Latent> dense_latent(const dataset::Object& object, const LatentForm& form) {
  ESP_ASSIGN(const auto values, object.ss_latent());
  return Latent{torch::tensor(values).view({form.channels, form.grid, form.grid, form.grid}), {}, {}};
}

// [T, C]
at::Tensor normalised(const dataset::StructuredLatent& latent, const nn::LatentNormalization& statistics) {
  const auto mean = torch::tensor(statistics.mean, torch::kFloat32);
  const auto std = torch::tensor(statistics.std, torch::kFloat32);
  return (torch::tensor(latent.feats).view({-1, latent.channels}) - mean) / std;
}

Result<Latent> structured_latent(const dataset::Object& object, const LatentForm& form) {
  ESP_ASSIGN(const auto shape, object.shape_latent());
  const auto coords = torch::tensor(shape.coords).view({-1, 3}).to(torch::kInt32);
  if (form.kind == LatentKind::kShape) return Latent{normalised(shape, form.normalization), coords, {}};
  ESP_ASSIGN(const auto texture, object.texture_latent());
  return Latent{normalised(texture, form.normalization), coords, normalised(shape, form.shape_normalization)};
}

// Of the object's latent; 0 channels: it has none.
std::pair<int64_t, int64_t> channels_and_grid(const dataset::Object& object, LatentKind kind) {
  if (kind == LatentKind::kStructure) return {object.ss_channels, object.ss_grid};
  if (kind == LatentKind::kShape) return {object.shape_channels, object.shape_grid};
  return {object.texture_channels, object.texture_grid};
}

Status check(const nn::LatentNormalization& statistics, int64_t channels) {
  const auto wanted = static_cast<size_t>(channels);
  if (statistics.mean.size() == wanted && statistics.std.size() == wanted) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("base: the normalisation of its latents has ", statistics.mean.size(),
                                                 " channels, its network takes ", channels));
}

Status check(const LatentForm& form) {
  if (form.kind == LatentKind::kStructure) return absl::OkStatus();
  ESP_TRY(check(form.normalization, form.channels));
  return form.kind == LatentKind::kTexture ? check(form.shape_normalization, form.shape_channels) : absl::OkStatus();
}

}  // namespace

Result<std::vector<int64_t>> TrainingData::views_to_train_on(const dataset::Object& object) const {
  std::vector<int64_t> views;
  for (int64_t view = 0; view < static_cast<int64_t>(object.views()); ++view) {
    if (std::find(holdout_.begin(), holdout_.end(), view) == holdout_.end()) views.push_back(view);
  }
  if (!views.empty()) return views;
  return absl::InvalidArgumentError(
      absl::StrCat("holdout_view: object ", object.sha256, " has no view left to train on"));
}

Status TrainingData::add(const dataset::Object& object, const LatentForm& form) {
  const auto [channels, grid] = channels_and_grid(object, form.kind);
  if (channels != form.channels || grid != form.grid) {
    return absl::InvalidArgumentError(absl::StrCat("dataset: latents are ", channels, " x ", grid,
                                                   "^3, the base model takes ", form.channels, " x ", form.grid,
                                                   "^3: it was prepared for another base"));
  }
  if (form.kind == LatentKind::kTexture && object.shape_channels != form.shape_channels) {
    return absl::InvalidArgumentError(absl::StrCat("dataset: shape latents have ", object.shape_channels,
                                                   " channels, the base model takes ", form.shape_channels,
                                                   " beside a texture: it was prepared for another base"));
  }
  ESP_ASSIGN(auto views, views_to_train_on(object));
  ESP_ASSIGN(auto latent,
             form.kind == LatentKind::kStructure ? dense_latent(object, form) : structured_latent(object, form));
  items_.push_back(
      {object, std::move(latent.values), std::move(latent.coords), std::move(latent.shape), std::move(views)});
  return absl::OkStatus();
}

Status TrainingData::add_split(const std::string& split, const LatentForm& form) {
  for (const auto& object : dataset_.objects()) {
    if (object.split != split || channels_and_grid(object, form.kind).first == 0) continue;
    ESP_TRY(add(object, form));
    if (split == "train") repeats_.push_back(object.repeat);
  }
  return absl::OkStatus();
}

// "2 of 5 objects are left out of geometry: 1 too_many_tokens, 1 without usable data", or nothing. Objects that failed
// as a whole were told about when the dataset was made.
std::string TrainingData::left_out(const std::string& denoiser) const {
  std::set<std::string> taken;
  for (const auto& item : items_) taken.insert(item.object.sha256);
  const auto& manifest = dataset_.manifest();
  const auto part = manifest.stages.find(denoiser);
  const bool told = part != manifest.stages.end() && !part->second.ready && !part->second.reason.empty();
  const std::string unspecified = told ? part->second.reason : "without usable data";
  std::map<std::string, int> counts;
  int prepared = 0, without = 0;
  for (const auto& object : manifest.objects) {
    if (!dataset::is_prepared(object)) continue;
    ++prepared;
    if (taken.count(object.sha256) > 0) continue;
    ++without;
    const auto stage = object.stages.find(denoiser);
    ++counts[stage == object.stages.end() || stage->second == "ok" ? unspecified : stage->second];
  }
  if (without == 0) return {};
  std::vector<std::string> reasons;
  for (const auto& [reason, count] : counts) reasons.push_back(absl::StrCat(count, " ", reason));
  return absl::StrCat(without, " of ", prepared, " objects are left out of ", denoiser, ": ",
                      absl::StrJoin(reasons, ", "));
}

Result<TrainingData> TrainingData::open(const TrainConfig& config, const LatentForm& form) {
  ESP_TRY(check(form));
  ESP_ASSIGN(auto opened, dataset::PreparedDataset::open(config.dataset));
  if (opened.manifest().resolution != config.resolution) {
    return absl::InvalidArgumentError(absl::StrCat(
        "resolution: ", config.resolution, ", but the dataset was prepared for ", opened.manifest().resolution));
  }
  TrainingData data(std::move(opened));
  data.warnings_ = data.dataset_.warnings();
  data.holdout_ = config.holdout_views;
  for (const char* split : {"train", "val"}) ESP_TRY(data.add_split(split, form));
  const auto left_out = data.left_out(config.denoiser);
  if (data.repeats_.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("dataset: no object to train ", config.denoiser, " on (",
                                                   left_out.empty() ? "all are of split 'val'" : left_out, ")"));
  }
  if (!left_out.empty()) data.warnings_.push_back(left_out);
  return data;
}

int64_t TrainingData::tokens(int64_t item) const {
  const auto& latent = items_[static_cast<size_t>(item)].latent;
  return latent.dim() == 2 ? latent.size(0) : latent[0].numel();
}

std::vector<int64_t> TrainingData::training_tokens() const {
  std::vector<int64_t> counts;
  for (int64_t item = 0; item < size(); ++item) counts.push_back(tokens(item));
  return counts;
}

FlowSamples TrainingData::samples(std::span<const SampleRef> samples) const {
  std::vector<at::Tensor> latents, coords, shapes;
  for (const auto& sample : samples) {
    const auto& item = items_[static_cast<size_t>(sample.item)];
    latents.push_back(item.latent);
    if (item.coords.defined()) coords.push_back(item.coords);
    if (item.shape.defined()) shapes.push_back(item.shape);
  }
  if (coords.empty()) return dense_samples(at::stack(latents));
  FlowSamples out = structured_samples(latents, coords);
  if (!shapes.empty()) out.concat = at::cat(shapes);
  return out;
}

at::Tensor TrainingData::picture(int64_t item, int64_t view, int size) const {
  const auto& object = items_[static_cast<size_t>(item)].object;
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
  const auto all = static_cast<int64_t>(items_.size());
  std::vector<View> views;
  for (int64_t item = all > size() ? size() : 0; item < all; ++item) {
    const auto& object = items_[static_cast<size_t>(item)].object;
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
