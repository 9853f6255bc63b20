#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace espalier::infer {

struct DeformConvShape {
  int64_t stride_h = 1, stride_w = 1;
  int64_t pad_h = 0, pad_w = 0;
  int64_t dilation_h = 1, dilation_w = 1;
  int64_t groups = 1;         // of the weight
  int64_t offset_groups = 1;  // channels of the input that share offsets
};

// Deformable convolution (v2 when `mask` is defined), forward only, of ATen operations: any device.
//
//   input   [B, Ci, H, W]                weight  [Co, Ci / groups, Kh, Kw]
//   offset  [B, offset_groups * Kh * Kw * 2, Ho, Wo], (y, x) in pixels per kernel tap
//   mask    [B, offset_groups * Kh * Kw, Ho, Wo] or undefined
//   bias    [Co] or undefined            returns [B, Co, Ho, Wo]
//
// Samples bilinearly, zero outside. Shapes that do not fit throw c10::Error.
// Reference: Zhu et al., "Deformable ConvNets v2", CVPR 2019; torchvision.ops.deform_conv2d.
at::Tensor deform_conv2d(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& offset,
                         const at::Tensor& mask, const at::Tensor& bias, const DeformConvShape& shape);

}  // namespace espalier::infer
