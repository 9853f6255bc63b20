#include "nn/layers/norm.h"

#include <torch/types.h>

#include <cmath>

namespace espalier::nn {
namespace {

constexpr double kSmallestSum = 1e-24;  // (1e-12)^2: the bound is on the length, the sum holds its square

}  // namespace

at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double eps) {
  const std::vector<int64_t> shape{x.size(-1)};
  // Without affine the kernel already computes half types in fp32; with it, CUDA wants one type for everything.
  if (!weight.defined() || x.scalar_type() == weight.scalar_type()) return at::layer_norm(x, shape, weight, bias, eps);
  return at::layer_norm(x.to(weight.scalar_type()), shape, weight, bias, eps).to(x.scalar_type());
}

at::Tensor head_rms_norm(const at::Tensor& x, const at::Tensor& gamma) {
  const at::Tensor wide = x.to(gamma.scalar_type());
  const at::Tensor inverse = wide.square().sum(-1, /*keepdim=*/true).clamp_min(kSmallestSum).rsqrt();
  const at::Tensor scale = gamma * std::sqrt(static_cast<double>(x.size(-1)));
  return (wide * inverse * scale).to(x.scalar_type());
}

}  // namespace espalier::nn
