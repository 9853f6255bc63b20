#include <gtest/gtest.h>
#include <torch/types.h>

#include "nn/sparse/ops.h"
#include "tests/nn/networks.h"

namespace espalier::nn {
namespace {

// A random part of two N^3 grids, rows shuffled inside each sample.
struct Scene {
  SparseTensor x;
  at::Tensor occupied;  // [2, N, N, N] bool
};

Scene scene(int64_t n, int64_t channels, double density, uint64_t seed) {
  auto gen = generator(seed);
  const at::Tensor occupied = torch::empty({2, n, n, n}).uniform_(0, 1, gen) < density;
  at::Tensor coords = occupied.nonzero().to(at::kInt);
  const at::Tensor order =
      (coords.select(1, 0).to(at::kDouble) + torch::empty({coords.size(0)}, at::kDouble).uniform_(0, 0.9, gen))
          .argsort();
  coords = coords.index_select(0, order);
  auto x = SparseTensor::create(torch::empty({coords.size(0), channels}).normal_(0, 1, gen), coords, 2);
  EXPECT_TRUE(x.ok()) << x.status();
  return {*std::move(x), occupied};
}

c10::List<std::optional<at::Tensor>> at_cells(const SparseTensor& x) {
  c10::List<std::optional<at::Tensor>> index;
  for (int axis = 0; axis < 4; ++axis) index.push_back(x.coords.select(1, axis).to(at::kLong));
  return index;
}

at::Tensor dense_conv(const SparseTensor& x, const at::Tensor& feats, int64_t n, const at::Tensor& weight,
                      const at::Tensor& bias) {
  const at::Tensor grid = torch::zeros({2, n, n, n, feats.size(1)}).index_put(at_cells(x), feats);
  const at::Tensor out =
      at::conv3d(grid.permute({0, 4, 1, 2, 3}), weight.permute({0, 4, 1, 2, 3}), bias, {1, 1, 1}, {1, 1, 1});
  return out.permute({0, 2, 3, 4, 1}).index(at_cells(x));
}

TEST(SubmanifoldConv, AgreesWithADenseConvolutionAndItsGradients) {
  const int64_t n = 7;
  const auto s = scene(n, 5, 0.4, 1);
  auto gen = generator(2);
  const at::Tensor weight = torch::empty({6, 3, 3, 3, 5}).normal_(0, 0.2, gen),
                   bias = torch::empty({6}).normal_(0, 1, gen);
  const at::Tensor map = neighbour_map(s.x), probe = torch::empty({s.x.rows(), 6}).normal_(0, 1, gen);
  std::vector<at::Tensor> gradients[2];
  at::Tensor outputs[2];
  for (const int sparse : {0, 1}) {
    const at::Tensor f = s.x.feats.clone().requires_grad_(), w = weight.clone().requires_grad_(),
                     b = bias.clone().requires_grad_();
    outputs[sparse] = sparse ? submanifold_conv(f, map, w, b) : dense_conv(s.x, f, n, w, b);
    (outputs[sparse] * probe).sum().backward();
    gradients[sparse] = {f.grad(), w.grad(), b.grad()};
  }
  EXPECT_TRUE(outputs[1].allclose(outputs[0], 1e-4, 1e-5));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(gradients[1][i].allclose(gradients[0][i], 1e-4, 1e-4)) << i;
}

TEST(SubmanifoldConv, AccumulatesHalfInSinglePrecision) {
  const auto s = scene(6, 64, 0.9, 3);
  const at::Tensor weight = torch::empty({8, 3, 3, 3, 64}).normal_(0, 0.05, generator(4)).to(at::kHalf);
  const at::Tensor feats = s.x.feats.to(at::kHalf), map = neighbour_map(s.x);
  const at::Tensor got = submanifold_conv(feats, map, weight, {});
  const at::Tensor want = submanifold_conv(feats.to(at::kFloat), map, weight.to(at::kFloat), {});
  EXPECT_EQ(got.scalar_type(), at::kHalf);
  EXPECT_TRUE(got.equal(want.to(at::kHalf)));
}

TEST(NeighbourMap, StopsAtTheEdgeOfTheCoordinateRange) {
  const int last = kSparseCoordLimit - 1;
  const at::Tensor coords = torch::tensor({0, 0, 0, 0, 0, last, last, last}, at::kInt).view({2, 4});
  const auto x = SparseTensor::create(torch::zeros({2, 1}), coords, 1);
  ASSERT_TRUE(x.ok());
  const at::Tensor map = neighbour_map(*x);
  EXPECT_EQ(map.ge(0).sum().item<int>(), 2);
  EXPECT_EQ(map[0][13].item<int>(), 0);
  EXPECT_EQ(map[1][13].item<int>(), 1);
}

TEST(Resampling, SplittingWhatWasMergedGivesTheRowsBack) {
  const auto s = scene(6, 3, 0.3, 5);
  const auto map = parent_map(s.x);
  const auto merged = space_to_channel(s.x.feats, map);
  const at::Tensor present =
      torch::zeros({map.coords.size(0) * 8}, at::kBool).index_fill(0, map.parent * 8 + map.slot, true).view({-1, 8});
  const auto split = channel_to_space(merged.feats, child_map(merged, present));
  ASSERT_EQ(split.rows(), s.x.rows());
  EXPECT_EQ(split.offsets, s.x.offsets);
  const auto grid = [](const SparseTensor& x) { return torch::zeros({2, 6, 6, 6, 3}).index_put(at_cells(x), x.feats); };
  EXPECT_TRUE(grid(split).equal(grid(s.x)));
}

TEST(Resampling, MeanPoolDividesByTheChildrenThatExist) {
  const at::Tensor coords = torch::tensor({0, 0, 0, 0, 0, 1, 1, 1, 0, 4, 0, 0}, at::kInt).view({3, 4});
  const auto x = SparseTensor::create(torch::tensor({{2.F}, {4.F}, {7.F}}), coords, 2);
  ASSERT_TRUE(x.ok());
  const auto pooled = mean_pool(x->feats, parent_map(*x));
  EXPECT_TRUE(pooled.feats.equal(torch::tensor({{3.F}, {7.F}})));
  EXPECT_EQ(pooled.offsets, (std::vector<int64_t>{0, 2, 2}));  // the empty second sample keeps its place
}

TEST(Resampling, ParentsWithoutChildrenVanish) {
  const at::Tensor coords = torch::tensor({0, 1, 2, 3, 1, 0, 0, 5}, at::kInt).view({2, 4});
  const auto x = SparseTensor::create(torch::tensor({{1.F}, {2.F}}), coords, 2);
  ASSERT_TRUE(x.ok());
  at::Tensor subdivision = torch::zeros({2, 8}, at::kBool);
  subdivision[1][6] = true;
  subdivision[1][1] = true;
  const auto up = nearest_upsample(x->feats, child_map(*x, subdivision));
  EXPECT_TRUE(up.coords.equal(torch::tensor({1, 1, 0, 10, 1, 0, 1, 11}, at::kInt).view({2, 4})));
  EXPECT_TRUE(up.feats.equal(torch::tensor({{2.F}, {2.F}})));
  EXPECT_EQ(up.offsets, (std::vector<int64_t>{0, 0, 2}));
}

}  // namespace
}  // namespace espalier::nn
