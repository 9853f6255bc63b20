#pragma once

#include <gtest/gtest.h>
#include <torch/types.h>

#include "nn/sparse/conv_cpu.h"
#include "nn/sparse/ops.h"
#include "tests/nn/networks.h"

// Submanifold convolutions by a GPU's kernels, against the CPU's.
namespace espalier::nn {

// A bumpy shell in each of two grids and single voxels beside it, rows shuffled; about `rows` of them.
inline SparseTensor surface(int64_t rows, int64_t channels, uint64_t seed) {
  auto gen = generator(seed);
  const double radius = std::sqrt(static_cast<double>(rows) / (2 * 4 * M_PI * 1.2));
  const auto side = static_cast<int64_t>(2 * radius) + 6;
  const at::Tensor axis = torch::arange(side, at::kDouble) - static_cast<double>(side) / 2;
  const at::Tensor distance = (axis.square().view({-1, 1, 1}) + axis.square().view({-1, 1}) + axis.square())
                                  .sqrt()
                                  .expand({2, side, side, side});
  const at::Tensor bumps = torch::empty({2, side, side, side}, at::kDouble).uniform_(-0.25, 0.25, gen);
  const at::Tensor alone = torch::empty({2, side, side, side}).uniform_(0, 1, gen) < 0.01;
  at::Tensor coords = ((distance + bumps - radius).abs() < 0.6).logical_or(alone).nonzero().to(at::kInt);
  const at::Tensor shuffled = torch::empty({coords.size(0)}, at::kDouble).uniform_(0, 0.9, gen);
  coords = coords.index_select(0, (coords.select(1, 0).to(at::kDouble) + shuffled).argsort());
  auto x = SparseTensor::create(torch::empty({coords.size(0), channels}).normal_(0, 1, gen), coords, 2);
  EXPECT_TRUE(x.ok()) << x.status();
  return *std::move(x);
}

// Voxels without neighbours.
inline SparseTensor lone_voxels(int64_t rows, int64_t channels, uint64_t seed) {
  const at::Tensor x = 2 * torch::arange(rows, at::kInt), zero = torch::zeros({rows}, at::kInt);
  auto tensor = SparseTensor::create(torch::empty({rows, channels}).normal_(0, 1, generator(seed)),
                                     at::stack({zero, x, zero, zero}, 1), 1);
  EXPECT_TRUE(tensor.ok()) << tensor.status();
  return *std::move(tensor);
}

struct ConvResults {
  at::Tensor out, feats_gradient, weight_gradient, bias_gradient;

  std::vector<at::Tensor> all() const { return {out, feats_gradient, weight_gradient, bias_gradient}; }
};

// A convolution and the gradient of its output's rows, all rounded to one type.
struct ConvProblem {
  SparseTensor x;  // on the CPU
  at::Tensor weight, bias, probe;

  ConvProblem(const SparseTensor& cells, int64_t out, at::ScalarType type, uint64_t seed)
      : x(cells.with(cells.feats.to(type))) {
    auto gen = generator(seed);
    const auto random = [&](at::IntArrayRef shape) { return torch::empty(shape).normal_(0, 1, gen).to(type); };
    weight = random({out, 3, 3, 3, x.feats.size(1)});
    bias = random({out});
    probe = random({x.rows(), out});
  }

  // By submanifold_conv() and autograd.
  ConvResults on(at::Device device) const {
    SparseTensor there{x.feats.to(device), x.coords.to(device), x.offsets};
    there.feats = there.feats.detach().requires_grad_();
    const at::Tensor w = weight.to(device).detach().requires_grad_(), b = bias.to(device).detach().requires_grad_();
    const at::Tensor out = submanifold_conv(there, w, b).feats;
    out.backward(probe.to(device));
    return {out.detach(), there.feats.grad(), w.grad(), b.grad()};
  }

  // By the CPU's kernels in fp32.
  ConvResults wanted() const {
    const at::Tensor map = neighbour_map(x), f = x.feats.to(at::kFloat), p = probe.to(at::kFloat);
    const at::Tensor w = weight.to(at::kFloat).flatten(1, 3);  // [Co, 27, Ci]
    return {convolve_cpu(f, map, w.permute({1, 2, 0}).contiguous(), bias.to(at::kFloat)),
            convolve_cpu(p, map, w.flip(1).transpose(0, 1).contiguous(), {}),
            weight_gradient_cpu(p, f, map).transpose(0, 1).reshape(weight.sizes()), p.sum(0)};
  }
};

// What rounding the result to its type may change, and adding in another order.
inline void expect_close(const ConvResults& got, const ConvResults& want, at::ScalarType type) {
  const double rounding = type == at::kFloat ? 0 : type == at::kHalf ? 1.0 / (1 << 11) : 1.0 / (1 << 8);
  const char* const names[] = {"output", "gradient of the features", "gradient of the weight", "gradient of the bias"};
  for (int i = 0; i < 4; ++i) {
    const at::Tensor wanted = want.all()[i], is = got.all()[i];
    ASSERT_EQ(is.sizes(), wanted.sizes()) << names[i];
    EXPECT_EQ(is.scalar_type(), type) << names[i];
    if (wanted.numel() == 0) continue;
    const at::Tensor difference = (is.to(at::kCPU, at::kFloat) - wanted).abs();
    const at::Tensor allowed = rounding * wanted.abs() + 1e-5 * wanted.abs().max() + 1e-7;
    EXPECT_TRUE(difference.le(allowed).all().item<bool>())
        << names[i] << ": up to " << difference.max().item<float>() << " off";
  }
}

inline void expect_same_bits(const ConvResults& a, const ConvResults& b) {
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(a.all()[i].equal(b.all()[i])) << i;
}

}  // namespace espalier::nn
