#pragma once

namespace at {
class Tensor;
}

// submanifold_conv() by LibTorch's operators, for the devices and types without kernels of their own: the neighbours of
// some rows are laid out side by side and multiplied at once. Shapes as in conv_cpu.h, any float type, any device.
// Extra memory: 64 MiB of neighbours.
namespace espalier::nn {

at::Tensor convolve_gathered(const at::Tensor& feats, const at::Tensor& map, const at::Tensor& kernel,
                             const at::Tensor& bias);

at::Tensor weight_gradient_gathered(const at::Tensor& grad, const at::Tensor& feats, const at::Tensor& map);

}  // namespace espalier::nn
