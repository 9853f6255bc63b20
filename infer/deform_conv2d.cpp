#include "infer/deform_conv2d.h"

#include <torch/types.h>

namespace espalier::infer {
namespace {

// [B * G, 1 or more, Ho, Wo, 2] sampling positions of one kernel tap, in the units of grid_sampler (x, y in [-1, 1]).
at::Tensor sampling_grid(const at::Tensor& offset, int64_t row, int64_t column, int64_t height, int64_t width,
                         const DeformConvShape& shape) {
  const auto options = offset.options();
  const auto y0 = torch::arange(offset.size(3), options) * shape.stride_h - shape.pad_h + row * shape.dilation_h;
  const auto x0 = torch::arange(offset.size(4), options) * shape.stride_w - shape.pad_w + column * shape.dilation_w;
  const auto y = offset.select(2, 0) + y0.reshape({1, 1, -1, 1});  // [B, G, Ho, Wo]
  const auto x = offset.select(2, 1) + x0.reshape({1, 1, 1, -1});
  const auto to_unit = [](const at::Tensor& at, int64_t size) { return (at * 2 + 1) / static_cast<double>(size) - 1; };
  return torch::stack({to_unit(x, width), to_unit(y, height)}, -1).flatten(0, 1);
}

}  // namespace

at::Tensor deform_conv2d(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& offset,
                         const at::Tensor& mask, const at::Tensor& bias, const DeformConvShape& shape) {
  const int64_t batch = input.size(0), channels = input.size(1), height = input.size(2), width = input.size(3);
  const int64_t rows = weight.size(2), columns = weight.size(3), groups = shape.offset_groups;
  TORCH_CHECK(groups > 0 && channels % groups == 0, "offset groups ", groups, " do not divide ", channels, " channels");
  const auto taps = offset.reshape({batch, groups, rows * columns, 2, offset.size(2), offset.size(3)});
  const auto per_group = input.reshape({batch * groups, channels / groups, height, width});
  at::Tensor out;
  for (int64_t tap = 0; tap < rows * columns; ++tap) {
    const int64_t row = tap / columns, column = tap % columns;
    const auto grid = sampling_grid(taps.select(2, tap), row, column, height, width, shape);
    auto sampled = torch::grid_sampler_2d(per_group, grid, /*bilinear*/ 0, /*zeros*/ 0, /*align_corners=*/false)
                       .reshape({batch, groups, channels / groups, grid.size(1), grid.size(2)});
    if (mask.defined()) {
      const auto weights = mask.reshape({batch, groups, rows * columns, grid.size(1), grid.size(2)});
      sampled = sampled * weights.select(2, tap).unsqueeze(2);
    }
    // One tap at a time is a 1x1 convolution; all at once would need rows * columns copies of the input.
    const auto part =
        torch::conv2d(sampled.flatten(1, 2), weight.slice(2, row, row + 1).slice(3, column, column + 1),
                      /*bias=*/at::Tensor(), at::IntArrayRef{1}, at::IntArrayRef{0}, at::IntArrayRef{1}, shape.groups);
    out = out.defined() ? out + part : part;
  }
  return bias.defined() ? out + bias.reshape({1, -1, 1, 1}) : out;
}

}  // namespace espalier::infer
