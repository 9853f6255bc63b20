#include "nn/sparse/conv_cuda.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include "nn/sparse/conv_gather.h"
#include "tests/nn/conv_cases.h"

namespace espalier::nn {
namespace {

// On a real GPU; what tests/nn/emulated proves on a CPU is not repeated.
class CudaConv : public testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override {
    if (!at::hasCUDA()) GTEST_SKIP() << "there is no CUDA device, or this build is without CUDA";
  }

  static void expect_agreement(const SparseTensor& x, int64_t out) {
    const ConvProblem problem(x, out, GetParam(), 2);
    const auto once = problem.on(at::kCUDA);
    expect_close(once, problem.wanted(), GetParam());
    expect_same_bits(problem.on(at::kCUDA), once);
  }
};

INSTANTIATE_TEST_SUITE_P(Types, CudaConv, testing::Values(at::kFloat, at::kHalf, at::kBFloat16),
                         [](const auto& type) { return std::string(c10::toString(type.param)); });

TEST_P(CudaConv, AgreesWithTheCpuAndWithItselfForManyRows) { expect_agreement(surface(60000, 64, 1), 64); }

TEST_P(CudaConv, AgreesWithTheCpuAndWithItselfForManyChannels) { expect_agreement(surface(1500, 512, 1), 256); }

TEST_P(CudaConv, AgreesWithTheCpuAndWithItselfForOddChannels) { expect_agreement(surface(5000, 35, 1), 67); }

TEST_P(CudaConv, AgreesWithTheCpuForOneVoxelAndNone) {
  expect_agreement(lone_voxels(1, 20, 1), 3);
  expect_agreement(lone_voxels(0, 20, 1), 3);
}

TEST_P(CudaConv, AcceptsGradientsAndFeaturesThatAreNotAligned) {
  const auto x = surface(800, 16, 1);
  const at::Tensor memory = torch::empty({x.feats.numel() + 1}, at::TensorOptions(GetParam()).device(at::kCUDA));
  const at::Tensor shifted = memory.narrow(0, 1, x.feats.numel()).view(x.feats.sizes());
  shifted.copy_(x.feats);
  const at::Tensor weight =
      torch::empty({24, 3, 3, 3, 16}).normal_(0, 1, generator(3)).to(at::TensorOptions(GetParam()).device(at::kCUDA));
  const at::Tensor map = neighbour_map(x).to(at::kCUDA);
  EXPECT_TRUE(submanifold_conv(shifted, map, weight, {}).equal(submanifold_conv(shifted.clone(), map, weight, {})));
}

TEST(CudaNeighbourMap, IsTheCpus) {
  if (!at::hasCUDA()) GTEST_SKIP() << "there is no CUDA device, or this build is without CUDA";
  const auto x = surface(200000, 1, 1);
  EXPECT_TRUE(neighbour_map_cuda(x.coords.to(at::kCUDA)).cpu().equal(neighbour_map(x)));
}

TEST(HasCudaKernel, IsFalseForTensorsOfTheCpuAndForDoubles) {
  EXPECT_FALSE(has_cuda_kernel(torch::zeros({1, 1})));
  if (!at::hasCUDA()) GTEST_SKIP() << "there is no CUDA device, or this build is without CUDA";
  EXPECT_TRUE(has_cuda_kernel(torch::zeros({1, 1}, at::kCUDA)));
  EXPECT_FALSE(has_cuda_kernel(torch::zeros({1, 1}, at::TensorOptions(at::kDouble).device(at::kCUDA))));
}

// The operators that other devices and types are left with.
TEST(GatheredConv, AgreesWithTheKernelsOfTheCpu) {
  const auto x = surface(500, 12, 1);
  const at::Tensor map = neighbour_map(x), kernel = torch::empty({27, 12, 20}).normal_(0, 1, generator(2)),
                   bias = torch::ones({20}), grad = torch::empty({x.rows(), 20}).normal_(0, 1, generator(3));
  EXPECT_TRUE(
      convolve_gathered(x.feats, map, kernel, bias).allclose(convolve_cpu(x.feats, map, kernel, bias), 1e-4, 1e-4));
  EXPECT_TRUE(
      weight_gradient_gathered(grad, x.feats, map).allclose(weight_gradient_cpu(grad, x.feats, map), 1e-4, 1e-3));
}

}  // namespace
}  // namespace espalier::nn
