#include "nn/layers/position.h"

#include <torch/types.h>

#include <cmath>

namespace espalier::nn {
namespace {

constexpr int64_t kTimeChannels = 256;
constexpr double kTimePeriod = 10000;
constexpr double kApeTheta = 10000;

// base / theta^(i/n), i = 0 .. n-1, [n] fp32.
at::Tensor axis_frequencies(int64_t n, double base, double theta, at::Device device) {
  const at::Tensor exponent = torch::arange(n, torch::dtype(torch::kFloat32).device(device)) / n;
  return base / at::pow(theta, exponent);
}

// [128] float32: kTimePeriod^(-i / 128) as the reference has them. Its exp (MKL on Intel processors) rounds two values
// up that lie 0.47 and 0.496 units in the last place above the nearest float; other libraries round them down. At t =
// 1000 the difference would be 3e-5 in the embedding, so the exact values are taken and these two moved.
at::Tensor time_frequencies() {
  const int64_t half = kTimeChannels / 2;
  const at::Tensor index = torch::arange(half, torch::dtype(torch::kFloat32));
  at::Tensor frequency = at::exp((index * -std::log(kTimePeriod) / half).to(torch::kFloat64)).to(torch::kFloat32);
  for (const int64_t i : {13, 44}) {
    const float exact = frequency[i].item<float>();
    frequency[i] = std::nextafter(exact, 2.f);
  }
  return frequency;
}

}  // namespace

at::Tensor timestep_embedding(const at::Tensor& t) {
  TORCH_CHECK(t.dim() == 1, "t must be [B], got ", t.sizes());
  static const at::Tensor frequency = time_frequencies();
  const at::Tensor angle = t.to(torch::kFloat32).unsqueeze(1) * frequency.to(t.device());  // [B, 128]
  return at::cat({angle.cos(), angle.sin()}, 1);
}

at::Tensor rope_phases(const at::Tensor& coords, int64_t head_dim, double base, double theta) {
  TORCH_CHECK(coords.dim() == 2 && coords.size(1) == 3, "coords must be [N, 3], got ", coords.sizes());
  const int64_t slots = head_dim / 2, n = slots / 3;
  const at::Tensor frequency = axis_frequencies(n, base, theta, coords.device());
  const at::Tensor angle = (coords.to(torch::kFloat32).unsqueeze(2) * frequency).flatten(1);  // [N, 3n]
  const at::Tensor padded = at::constant_pad_nd(angle, {0, slots - 3 * n});
  return at::polar(at::ones_like(padded), padded);
}

at::Tensor apply_rope(const at::Tensor& x, const at::Tensor& phases) {
  auto shape = x.sizes().vec();
  shape.back() /= 2;
  shape.push_back(2);
  const at::Tensor pairs = at::view_as_complex(x.to(torch::kFloat32).reshape(shape));
  return at::view_as_real(pairs * phases).flatten(-2).to(x.scalar_type());
}

at::Tensor absolute_position_embedding(const at::Tensor& coords, int64_t channels) {
  const int64_t n = channels / 3 / 2;
  const at::Tensor frequency = axis_frequencies(n, 1, kApeTheta, coords.device());
  const at::Tensor angle = coords.to(torch::kFloat32).unsqueeze(2) * frequency;  // [N, 3, n]
  const at::Tensor waves = at::cat({angle.sin(), angle.cos()}, 2).flatten(1);    // [N, 6n]
  return at::constant_pad_nd(waves, {0, channels - 6 * n});
}

at::Tensor grid_coords(int64_t resolution, at::Device device) {
  const at::Tensor axis = torch::arange(resolution, torch::dtype(torch::kInt64).device(device));
  return at::stack(at::meshgrid({axis, axis, axis}, "ij"), -1).reshape({-1, 3});
}

}  // namespace espalier::nn
