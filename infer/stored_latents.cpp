#include "infer/stored_latents.h"

#include <torch/types.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "infer/latent_cells.h"

namespace espalier::infer {
namespace {

Result<at::Tensor> cells_of(const StoredLatents& stored) {
  if (stored.cells_per_side < 1 || stored.cells_per_side > kLargestGrid / kCellVoxels) {
    return absl::InvalidArgumentError(absl::StrCat("cells_per_side: must be 1 to ", kLargestGrid / kCellVoxels));
  }
  const at::Tensor cells = torch::zeros({static_cast<int64_t>(stored.cells.size()), 4}, torch::kInt32);
  auto* to = cells.mutable_data_ptr<int32_t>();
  for (const auto& cell : stored.cells) {
    const auto outside = [&](int32_t at) { return at < 0 || at >= stored.cells_per_side; };
    if (std::any_of(cell.begin(), cell.end(), outside)) return absl::InvalidArgumentError("cells: outside the grid");
    std::copy(cell.begin(), cell.end(), to + 1);
    to += 4;
  }
  if (has_repeated_cell(cells)) return absl::InvalidArgumentError("cells: one stands twice");
  return cells;
}

Result<nn::SparseTensor> rows_on(const at::Tensor& cells, const std::vector<float>& values, const char* name,
                                 const NetworkSlot<nn::ScVaeDecoder>& decoder, c10::Device device) {
  ESP_ASSIGN(const auto network, decoder.shapes());
  const int64_t channels = network->config().latent_channels;
  if (static_cast<int64_t>(values.size()) != cells.size(0) * channels) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": must have ", channels, " values for each cell"));
  }
  const at::Tensor feats = torch::tensor(values).view({cells.size(0), channels});
  if (!feats.isfinite().all().item<bool>()) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": has numbers that are not finite"));
  }
  return nn::SparseTensor::create(feats.to(device), cells.to(device), 1);
}

}  // namespace

Result<Latents> latents_of(const StoredLatents& stored, const Networks& networks) {
  if (stored.cells.empty()) return absl::InvalidArgumentError("cells: none");
  ESP_ASSIGN(const at::Tensor cells, cells_of(stored));
  Latents latents;
  latents.shape.voxels = int64_t{stored.cells_per_side} * kCellVoxels;
  ESP_ASSIGN(latents.shape.cells, rows_on(cells, stored.shape, "shape", networks.shape_decoder, networks.device()));
  if (stored.texture.empty()) return latents;
  if (!networks.base().has_model("tex_slat_decoder")) {
    return absl::InvalidArgumentError("texture: the base model has no decoder for it");
  }
  ESP_ASSIGN(latents.texture, rows_on(cells, stored.texture, "texture", networks.texture_decoder, networks.device()));
  return latents;
}

}  // namespace espalier::infer
