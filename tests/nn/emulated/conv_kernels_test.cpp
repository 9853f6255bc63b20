// The kernels of a GPU, compiled as C++ and run by tests/nn/emulated/cuda.h on the CPU's tensors. This program's launch
// functions take the place of the library's: submanifold_conv() and its gradients call them here.

// clang-format off
#include "tests/nn/emulated/cuda.h"  // first: brings the names that the kernels take from CUDA
// clang-format on

#include "nn/sparse/conv_kernels.cu"

#include "nn/sparse/conv_cuda.h"
#include "nn/sparse/neighbour_kernels.cu"
#include "tests/nn/conv_cases.h"

namespace espalier::nn {
namespace {

using emulated::Order;

class EmulatedConv : public testing::TestWithParam<at::ScalarType> {
 protected:
  void TearDown() override { emulated::order = Order::kAscending; }

  static void expect_agreement(const SparseTensor& x, int64_t out) {
    const ConvProblem problem(x, out, GetParam(), 2);
    ASSERT_TRUE(has_cuda_kernel(problem.x.feats));
    expect_close(problem.on(at::kCPU), problem.wanted(), GetParam());
  }
};

INSTANTIATE_TEST_SUITE_P(Types, EmulatedConv, testing::Values(at::kFloat, at::kHalf, at::kBFloat16),
                         [](const auto& type) { return std::string(c10::toString(type.param)); });

TEST_P(EmulatedConv, AgreesWithTheCpuForWholeTilesInParts) {
  ASSERT_GT(convolution_splits(150, 64, 64), 1);
  expect_agreement(surface(150, 64, 1), 64);
}

TEST_P(EmulatedConv, AgreesWithTheCpuForOddChannels) {
  expect_agreement(surface(150, 5, 1), 7);
  expect_agreement(surface(90, 35, 1), 66);
}

TEST_P(EmulatedConv, AgreesWithTheCpuForSingleChannels) { expect_agreement(surface(100, 1, 1), 1); }

TEST_P(EmulatedConv, AgreesWithTheCpuForSeveralBatchesOfRows) {
  const auto x = surface(2600, 8, 1);
  ASSERT_GT(x.rows(), 2 * kBatchRows);
  ASSERT_GT(weight_gradient_splits(x.rows(), 8, 8), 1);
  expect_agreement(x, 8);
}

TEST_P(EmulatedConv, AgreesWithTheCpuWhenNoSumIsSplit) {
  const auto x = lone_voxels(3, 2, 1);
  const at::Tensor map = neighbour_map(x), feats = x.feats.to(GetParam()), rounded = feats.to(at::kFloat);
  auto gen = generator(2);
  const at::Tensor kernel = torch::empty({27, 2, 64 * 257}).normal_(0, 1, gen).to(GetParam());
  const at::Tensor grad = torch::empty({3, 64 * 19 + 1}).normal_(0, 1, gen).to(GetParam());
  ASSERT_EQ(convolution_splits(3, 2, 64 * 257), 1);
  ASSERT_EQ(weight_gradient_splits(3, 2, 64 * 19 + 1), 1);
  // Sums of two products, which half types hold exactly in fp32.
  const at::Tensor out = convolve_cuda(feats, map, row_order(x), kernel, {});
  const at::Tensor wanted = convolve_cpu(rounded, map, kernel.to(at::kFloat), {});
  EXPECT_TRUE(out.allclose(wanted.to(GetParam()), 1e-6, 1e-6));
  const at::Tensor gradient = weight_gradient_cuda(grad, feats, map);
  EXPECT_TRUE(gradient.allclose(weight_gradient_cpu(grad.to(at::kFloat), rounded, map), 1e-6, 1e-6));
}

TEST_P(EmulatedConv, AgreesWithTheCpuForOneVoxelAndNone) {
  expect_agreement(lone_voxels(1, 20, 1), 3);
  expect_agreement(lone_voxels(0, 20, 1), 3);
}

TEST_P(EmulatedConv, ReadsFeaturesThatAreNotAligned) {
  const auto x = surface(80, 16, 1);
  const at::Tensor memory = torch::empty({x.feats.numel() + 1});
  auto shifted = memory.to(GetParam()).narrow(0, 1, x.feats.numel()).view(x.feats.sizes());
  shifted.copy_(x.feats);
  const ConvProblem problem(x.with(shifted), 16, GetParam(), 2);
  ASSERT_NE(reinterpret_cast<uintptr_t>(problem.x.feats.data_ptr()) % 16, 0);
  expect_close(problem.on(at::kCPU), problem.wanted(), GetParam());
}

TEST_P(EmulatedConv, HasTheSameGradientsWithoutABias) {
  const ConvProblem problem(surface(60, 6, 1), 5, GetParam(), 2);
  const at::Tensor f = problem.x.feats.clone().requires_grad_(), w = problem.weight.clone().requires_grad_();
  submanifold_conv(problem.x.with(f), w, {}).feats.backward(problem.probe);
  const auto with_bias = problem.on(at::kCPU);
  EXPECT_TRUE(f.grad().equal(with_bias.feats_gradient));
  EXPECT_TRUE(w.grad().equal(with_bias.weight_gradient));
}

// A missing barrier would let results depend on which thread comes first.
TEST_P(EmulatedConv, GivesTheSameBitsInAnyOrderOfThreads) {
  const ConvProblem problem(surface(200, 40, 1), 24, GetParam(), 2);
  const auto ascending = problem.on(at::kCPU);
  for (const Order order : {Order::kDescending, Order::kShuffled, Order::kShuffled}) {
    emulated::order = order;
    expect_same_bits(problem.on(at::kCPU), ascending);
  }
}

TEST(EmulatedBlock, SeesAMissingBarrier) {
  static int shared[2];
  const auto racing = [] { shared[threadIdx.x == 0 ? 0 : 1] = threadIdx.x == 0 ? 1 : shared[0]; };
  int seen[2];
  for (const Order order : {Order::kAscending, Order::kDescending}) {
    shared[0] = shared[1] = 0;
    emulated::order = order;
    ASSERT_TRUE(emulated::block.run(2, racing));
    seen[static_cast<int>(order)] = shared[1];
  }
  emulated::order = Order::kAscending;
  EXPECT_NE(seen[0], seen[1]);
}

TEST(EmulatedBlock, SeesThreadsThatDoNotReachABarrier) {
  EXPECT_FALSE(emulated::block.run(64, [] {
    if (threadIdx.x < 32) __syncthreads();
  }));
}

// The row at each cell of two grids with an empty border, -1 where there is none.
at::Tensor rows_by_cell(const SparseTensor& x, int64_t side) {
  const at::Tensor c = x.coords.to(at::kLong);
  return torch::full({2, side + 2, side + 2, side + 2}, -1, at::kInt)
      .index_put({c.select(1, 0), c.select(1, 1) + 1, c.select(1, 2) + 1, c.select(1, 3) + 1},
                 torch::arange(x.rows(), at::kInt));
}

TEST(EmulatedNeighbourMap, FindsWhatADenseTableFinds) {
  const auto x = surface(700, 1, 1);
  const int64_t side = x.coords.max().item<int>() + 1;
  const at::Tensor table = rows_by_cell(x, side), c = x.coords.to(at::kLong);
  for (const Order order : {Order::kAscending, Order::kShuffled}) {
    emulated::order = order;
    const at::Tensor map = neighbour_map_cuda(x.coords);
    for (int64_t v = 0; v < kOffsets; ++v) {
      const at::Tensor want =
          table.index({c.select(1, 0), c.select(1, 1) + v / 9, c.select(1, 2) + v / 3 % 3, c.select(1, 3) + v % 3});
      EXPECT_TRUE(map.select(1, v).equal(want)) << v;
    }
  }
  emulated::order = Order::kAscending;
}

TEST(EmulatedNeighbourMap, StopsAtTheEdgesOfCoordinatesAndSamples) {
  const int last = kSparseCoordLimit - 1, sample = kSparseBatchLimit - 1;
  const at::Tensor coords =
      torch::tensor({0, 0, 0, 0, 0, 0, last, last, 1, 0, 0, 0, sample, last, last, last, sample, last, last, last - 1},
                    at::kInt)
          .view({5, 4});
  const at::Tensor map = neighbour_map_cuda(coords);
  at::Tensor want = torch::full({5, 27}, -1, at::kInt);
  want.select(1, 13).copy_(torch::arange(5, at::kInt));
  want[3][12] = 4;
  want[4][14] = 3;
  EXPECT_TRUE(map.equal(want));
  EXPECT_EQ(neighbour_map_cuda(coords.narrow(0, 0, 0)).sizes(), (at::IntArrayRef{0, 27}));
}

TEST(RowOrder, PutsRowsWithTheSameNeighboursTogether) {
  const auto x = surface(300, 1, 1);
  const at::Tensor map = neighbour_map(x), order = row_order(x);
  EXPECT_TRUE(order.is_same(row_order(x.with(torch::zeros({x.rows(), 3})))));
  EXPECT_TRUE(std::get<0>(order.sort()).equal(torch::arange(x.rows(), at::kInt)));
  int64_t previous = 0;
  for (int64_t i = 0; i < x.rows(); ++i) {
    int64_t mask = 0;
    for (int64_t v = 0; v < kOffsets; ++v) {
      mask |= int64_t{map[order[i].item<int>()][v].item<int>() >= 0} << v;
    }
    EXPECT_LE(previous, mask) << i;
    previous = mask;
  }
}

TEST(RowOrder, KeepsRowsWithTheSameNeighboursInTheirOrder) {
  at::Tensor map = torch::full({6, 27}, -1, at::kInt);
  for (const int row : {1, 4}) map[row].fill_(0);
  EXPECT_TRUE(sorted_rows(map).equal(torch::tensor({0, 2, 3, 5, 1, 4}, at::kInt)));
  EXPECT_EQ(sorted_rows(map.narrow(0, 0, 0)).numel(), 0);
}

}  // namespace
}  // namespace espalier::nn
