#include <ATen/Parallel.h>
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

struct ConvCase {
  int64_t side;
  double density;
  int64_t in, out;
};

class SubmanifoldConvOf : public testing::TestWithParam<ConvCase> {};

TEST_P(SubmanifoldConvOf, AgreesWithADenseConvolutionAndItsGradients) {
  const auto [n, density, in, out] = GetParam();
  const auto s = scene(n, in, density, 1);
  auto gen = generator(2);
  const at::Tensor weight = torch::empty({out, 3, 3, 3, in}).normal_(0, 0.2, gen),
                   bias = torch::empty({out}).normal_(0, 1, gen);
  const at::Tensor map = neighbour_map(s.x), probe = torch::empty({s.x.rows(), out}).normal_(0, 1, gen);
  std::vector<at::Tensor> gradients[2];
  at::Tensor outputs[2];
  for (const int sparse : {0, 1}) {
    const at::Tensor f = s.x.feats.clone().requires_grad_(), w = weight.clone().requires_grad_(),
                     b = bias.clone().requires_grad_();
    outputs[sparse] = sparse ? submanifold_conv(f, map, w, b) : dense_conv(s.x, f, n, w, b);
    (outputs[sparse] * probe).sum().backward();
    gradients[sparse] = {f.grad(), w.grad(), b.grad()};
  }
  EXPECT_TRUE(outputs[1].allclose(outputs[0], 1e-4, 1e-4));
  for (int i = 0; i < 3; ++i) {
    const double scale = gradients[0][i].abs().max().item<double>();
    EXPECT_TRUE(gradients[1][i].allclose(gradients[0][i], 1e-4, 1e-5 * scale)) << i;
  }
}

// Few and many channels with: less than a block of rows, several blocks, odd widths, every cell, nearly none.
INSTANTIATE_TEST_SUITE_P(Shapes, SubmanifoldConvOf,
                         testing::Values(ConvCase{7, 0.4, 5, 6}, ConvCase{16, 0.4, 3, 70}, ConvCase{14, 0.5, 65, 17},
                                         ConvCase{9, 1.1, 16, 16}, ConvCase{12, 0.01, 4, 4}, ConvCase{12, 0.01, 40, 40},
                                         ConvCase{17, 0.4, 9, 80}));

TEST(SubmanifoldConv, GradientsAgreeWithCentralDifferences) {
  const auto s = scene(5, 3, 0.5, 6);
  auto gen = generator(7);
  const auto random = [&](at::IntArrayRef shape) { return torch::empty(shape, at::kDouble).normal_(0, 1, gen); };
  const at::Tensor map = neighbour_map(s.x), probe = random({s.x.rows(), 2});
  std::vector<at::Tensor> inputs = {random({s.x.rows(), 3}), random({2, 3, 3, 3, 3}), random({2})}, directions;
  const auto loss = [&](const std::vector<at::Tensor>& at_point) {
    return (submanifold_conv(at_point[0], map, at_point[1], at_point[2]).square() * probe).sum();
  };
  for (auto& input : inputs) {
    directions.push_back(random(input.sizes()));
    input.requires_grad_();
  }
  loss(inputs).backward();
  for (size_t i = 0; i < inputs.size(); ++i) {
    const at::NoGradGuard no_grad;
    constexpr double kStep = 1e-5;
    auto above = inputs, below = inputs;
    above[i] = inputs[i] + kStep * directions[i];
    below[i] = inputs[i] - kStep * directions[i];
    const double numeric = ((loss(above) - loss(below)) / (2 * kStep)).item<double>();
    const double analytic = (inputs[i].grad() * directions[i]).sum().item<double>();
    EXPECT_NEAR(analytic, numeric, 1e-6 * std::abs(numeric)) << i;
  }
}

TEST(SubmanifoldConv, LeavesTheBiasOfASingleVoxelAlone) {
  const auto x = SparseTensor::create(torch::ones({1, 2}), torch::zeros({1, 4}, at::kInt), 1);
  ASSERT_TRUE(x.ok());
  const at::Tensor weight = torch::ones({3, 3, 3, 3, 2}), bias = torch::ones({3});
  EXPECT_TRUE(submanifold_conv(x->feats, neighbour_map(*x), weight, bias).equal(torch::full({1, 3}, 3.F)));
  EXPECT_TRUE(bias.equal(torch::ones({3})));
}

TEST(SubmanifoldConv, DoesNotDependOnTheThreadCount) {
  const auto s = scene(20, 24, 0.4, 8);
  const at::Tensor weight = torch::empty({40, 3, 3, 3, 24}).normal_(0, 0.1, generator(9)), map = neighbour_map(s.x);
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor alone = submanifold_conv(s.x.feats, map, weight, {});
  at::set_num_threads(3);
  const at::Tensor together = submanifold_conv(s.x.feats, map, weight, {});
  at::set_num_threads(threads);
  EXPECT_TRUE(together.equal(alone));
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

TEST(NeighbourMap, IsMadeOnceForTheTensorsOfALevel) {
  const auto s = scene(5, 2, 0.4, 10);
  const auto wider = s.x.with(torch::zeros({s.x.rows(), 7}));
  EXPECT_TRUE(neighbour_map(wider).is_same(neighbour_map(s.x)));
}

TEST(NeighbourMap, FindsWhatADenseTableFinds) {
  const int64_t n = 11;
  const auto s = scene(n, 1, 0.3, 11);
  at::Tensor table = torch::full({2, n + 2, n + 2, n + 2}, -1, at::kInt);
  const at::Tensor c = s.x.coords.to(at::kLong);
  table.index_put_({c.select(1, 0), c.select(1, 1) + 1, c.select(1, 2) + 1, c.select(1, 3) + 1},
                   torch::arange(s.x.rows(), at::kInt));
  const at::Tensor map = neighbour_map(s.x);
  for (int64_t v = 0; v < 27; ++v) {
    const at::Tensor want =
        table.index({c.select(1, 0), c.select(1, 1) + v / 9, c.select(1, 2) + v / 3 % 3, c.select(1, 3) + v % 3});
    EXPECT_TRUE(map.select(1, v).equal(want)) << v;
  }
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
