#include "nano/evaluation_items.h"

#include <ATen/ATen.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "image/codec.h"
#include "image/condition_image.h"
#include "image/foreground.h"

namespace espalier::nano {
namespace {

constexpr int kLatentCell = 16;  // voxels per side

Result<at::Tensor> picture(const dataset::Object& object, size_t view, int size) {
  ESP_ASSIGN(const std::string png, object.view_png(view));
  ESP_ASSIGN(const image::DecodedImage decoded, image::decode(png));
  ESP_ASSIGN(const image::Image square,
             image::preprocess_image(decoded.image, image::BackgroundRemoval::kNone, nullptr));
  ESP_ASSIGN(std::vector<float> planes, image::inference_condition_image(square, size));
  return at::from_blob(planes.data(), {3, size, size}).clone();
}

Result<at::Tensor> stored_occupancy(const dataset::Object& object) {
  ESP_ASSIGN(const auto voxels, object.occupancy());
  if (!voxels.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat("dataset: object ", object.sha256, " has no stored occupancy"));
  }
  const int64_t side = object.ss_resolution;
  at::Tensor cells = at::zeros({side, side, side}, at::TensorOptions(at::kBool));
  auto access = cells.accessor<bool, 3>();
  for (size_t i = 0; i + 2 < voxels->size(); i += 3) access[(*voxels)[i]][(*voxels)[i + 1]][(*voxels)[i + 2]] = true;
  return cells;
}

Result<StructuredLatent> stored_latent(const dataset::Object& object) {
  ESP_ASSIGN(dataset::StructuredLatent latent, object.shape_latent());
  const auto rows = static_cast<int64_t>(latent.coords.size() / 3);
  return StructuredLatent{
      at::from_blob(latent.coords.data(), {rows, 3}, at::TensorOptions(at::kByte)).to(at::kInt),
      at::from_blob(latent.feats.data(), {rows, latent.channels}, at::TensorOptions(at::kFloat)).clone()};
}

// What people call the object: its name, else the file it was made from, else the start of its hash.
std::string display_name(const dataset::Object& object, const dataset::Manifest& manifest) {
  if (!object.name.empty()) return object.name;
  for (const dataset::ObjectRecord& record : manifest.objects) {
    if (record.sha256 == object.sha256) return std::filesystem::path(record.path).stem().string();
  }
  return object.sha256.substr(0, 12);
}

// 0 when an object has no shape latent.
Result<int> common_tier(const std::vector<dataset::Object>& objects, double grid_scale) {
  int grid = objects.empty() ? 0 : objects.front().shape_grid;
  for (const dataset::Object& object : objects) {
    if (object.shape_tokens == 0) return 0;
    if (object.shape_grid != grid) return absl::InvalidArgumentError("dataset: its shape latents are of several tiers");
  }
  return static_cast<int>(std::lround(grid * kLatentCell / grid_scale));
}

int picture_size(int tier, double grid_scale) { return static_cast<int>(std::lround(tier * grid_scale)); }

// The pictures of one view, and of all others.
class Pictures {
 public:
  Pictures(size_t view, double grid_scale, int tier) : view_(view), grid_scale_(grid_scale) {
    judged_[kStructureTier];
    if (tier != 0) judged_[tier];
  }

  Status add(const dataset::Object& object, int64_t owner) {
    if (view_ >= object.views()) {
      return absl::InvalidArgumentError(
          absl::StrCat("view ", view_, " is not in the dataset: object ", object.sha256, " has ", object.views()));
    }
    for (auto& [tier, list] : judged_) {
      ESP_ASSIGN(list.emplace_back(), picture(object, view_, picture_size(tier, grid_scale_)));
    }
    for (size_t i = 0; i < object.views(); ++i) {
      if (i == view_) continue;
      ESP_ASSIGN(others_.emplace_back(), picture(object, i, picture_size(kStructureTier, grid_scale_)));
      owners_.push_back(owner);
    }
    return absl::OkStatus();
  }

  Status give(Items& items) const {
    if (others_.empty()) return absl::InvalidArgumentError("dataset: needs an object and at least two views of it");
    for (const auto& [tier, list] : judged_) items.pictures[tier] = at::stack(list);
    items.other_views = at::stack(others_);
    items.other_owner = owners_;
    return absl::OkStatus();
  }

 private:
  size_t view_;
  double grid_scale_;
  std::map<int, std::vector<at::Tensor>> judged_;
  std::vector<at::Tensor> others_;
  std::vector<int64_t> owners_;
};

}  // namespace

Result<Items> load_items(const dataset::PreparedDataset& data, int view, double grid_scale) {
  Items items;
  ESP_ASSIGN(items.tier, common_tier(data.objects(), grid_scale));
  Pictures pictures(static_cast<size_t>(view), grid_scale, items.tier);
  std::vector<at::Tensor> cells;
  for (const dataset::Object& object : data.objects()) {
    ESP_TRY(pictures.add(object, static_cast<int64_t>(cells.size())));
    ESP_ASSIGN(cells.emplace_back(), stored_occupancy(object));
    if (items.tier != 0) {
      ESP_ASSIGN(items.latents.emplace_back(), stored_latent(object));
    }
    items.names.push_back(display_name(object, data.manifest()));
  }
  ESP_TRY(pictures.give(items));
  items.occupancy = at::stack(cells);
  return items;
}

}  // namespace espalier::nano
