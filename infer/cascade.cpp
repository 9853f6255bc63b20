#include "infer/cascade.h"

#include <torch/types.h>

#include "absl/strings/str_cat.h"

namespace espalier::infer {
namespace {

constexpr int64_t kLatentStride = 16;  // voxels per latent voxel

// [N, 4] unique rows, sorted, of the coordinates on a latent grid of resolution / 16.
at::Tensor latent_voxels(const at::Tensor& coords, int64_t low, int64_t resolution) {
  const auto grid = static_cast<double>(resolution / kLatentStride);
  const auto position = (coords.slice(1, 1).to(torch::kFloat32) + 0.5) / static_cast<double>(low);
  const auto latent = (position * grid).to(torch::kInt32);  // truncates
  const auto rows = torch::cat({coords.slice(1, 0, 1), latent}, 1);
  return std::get<0>(torch::unique_dim(rows, 0));
}

bool is_consistent(const CascadeGrid& grid) {
  const auto whole = [](int64_t voxels) { return voxels > 0 && voxels % kLatentStride == 0; };
  return grid.low > 0 && whole(grid.lowest) && whole(grid.step) && grid.wanted >= grid.lowest &&
         (grid.wanted - grid.lowest) % grid.step == 0;
}

}  // namespace

Result<CascadeTokens> cascade_tokens(const at::Tensor& coords, const CascadeGrid& grid, int64_t max_tokens) {
  if (coords.dim() != 2 || coords.size(1) != 4) return absl::InvalidArgumentError("coordinates must be [N, 4]");
  if (!is_consistent(grid)) {
    return absl::InvalidArgumentError(absl::StrCat("a cascade from ", grid.low, " to ", grid.wanted,
                                                   " voxels per side: the second must be ", grid.lowest,
                                                   " and a multiple of ", grid.step, ", in whole cells of 16"));
  }
  const auto rows = coords.to(torch::kCPU, torch::kInt32);
  // Ends at `lowest`, which is_consistent() has made sure to lie on the way.
  for (int64_t resolution = grid.wanted;; resolution -= grid.step) {
    CascadeTokens tokens{latent_voxels(rows, grid.low, resolution), resolution};
    if (tokens.coords.size(0) < max_tokens || resolution == grid.lowest) return tokens;
  }
}

}  // namespace espalier::infer
