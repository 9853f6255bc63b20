#include "infer/cascade.h"

#include <torch/types.h>

#include "absl/strings/str_cat.h"

namespace espalier::infer {
namespace {

constexpr int64_t kLatentStride = 16;  // voxels per latent voxel
constexpr int64_t kLowest = 1024;
constexpr int64_t kStep = 128;

// [N, 4] unique rows, sorted, of the coordinates on a latent grid of resolution / 16.
at::Tensor latent_voxels(const at::Tensor& coords, int64_t lr_resolution, int64_t resolution) {
  const auto grid = static_cast<double>(resolution / kLatentStride);
  const auto position = (coords.slice(1, 1).to(torch::kFloat32) + 0.5) / static_cast<double>(lr_resolution);
  const auto latent = (position * grid).to(torch::kInt32);  // truncates
  const auto rows = torch::cat({coords.slice(1, 0, 1), latent}, 1);
  return std::get<0>(torch::unique_dim(rows, 0));
}

}  // namespace

Result<CascadeTokens> cascade_tokens(const at::Tensor& coords, int64_t lr_resolution, int64_t resolution,
                                     int64_t max_tokens) {
  if (coords.dim() != 2 || coords.size(1) != 4) return absl::InvalidArgumentError("coordinates must be [N, 4]");
  if (lr_resolution < 1 || resolution < kLowest || resolution % kStep != 0) {
    return absl::InvalidArgumentError(absl::StrCat("a cascade from ", lr_resolution, " to ", resolution,
                                                   " voxels per side: the second must be a multiple of 128 from 1024"));
  }
  const auto rows = coords.to(torch::kCPU, torch::kInt32);
  for (;; resolution -= kStep) {
    CascadeTokens tokens{latent_voxels(rows, lr_resolution, resolution), resolution};
    if (tokens.coords.size(0) < max_tokens || resolution == kLowest) return tokens;
  }
}

}  // namespace espalier::infer
