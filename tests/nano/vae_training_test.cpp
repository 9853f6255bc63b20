#include "nano/vae_training.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/optim/adam.h>
#include <torch/types.h>

#include <cmath>

#include "nano/objects.h"
#include "nano/paint.h"
#include "nano/shape_vae_training.h"
#include "nano/solids.h"
#include "nano/structured_latents.h"
#include "nano/texture_vae_training.h"
#include "train/random.h"

namespace espalier::nano {
namespace {

VoxelGrid checkered_ball(const LatentKind& kind) {
  const Paint paints[] = {{{1, 0, 0}, 0, 0.2f}, {{0, 0, 1}, 1, 0.8f}, {{0, 0, 1}, 1, 0.8f}, {{1, 0, 0}, 0, 0.2f}};
  SceneBuilder builder;
  builder.add(mapped(capsule(0.4f, 0), {2, 0, 0}, {0, 0, 2}), builder.add_tiles(paints, 2));
  auto grid = kind.grid(builder.take(), 32);
  EXPECT_TRUE(grid.ok()) << grid.status();
  return *std::move(grid);
}

// The loss of either VAE, all of whose parts must be finite.
at::Tensor total_loss(const LatentKind& kind, const ScVae& vae, const LedDecode& decode) {
  if (&kind == &kTexture) return texture_vae_loss(decode);
  const ShapeLoss loss = shape_vae_loss(vae, decode);
  for (const at::Tensor& part : {loss.flags, loss.vertices, loss.subdivision, loss.kl, loss.split}) {
    EXPECT_TRUE(std::isfinite(part.item<double>()));
  }
  return loss.total();
}

class VaeLoss : public testing::TestWithParam<const LatentKind*> {
 protected:
  void SetUp() override {
    auto vae = fresh_vae(kind_, 3);
    ASSERT_TRUE(vae.ok()) << vae.status();
    vae_ = *std::move(vae);
    for (auto* parameters : {&vae_.encoder_parameters, &vae_.decoder_parameters}) {
      for (auto& [name, tensor] : *parameters) trained_.push_back(tensor.requires_grad_(true));
    }
  }

  at::Tensor loss(int64_t step) const {
    const VoxelGrid grids[] = {grid_};
    const PhiloxStream noise[] = {train::random_stream(1, train::Purpose::kPosterior, step)};
    return total_loss(kind_, vae_, led_decode(kind_, vae_, grids, noise));
  }

  const LatentKind& kind_ = *GetParam();
  const VoxelGrid grid_ = checkered_ball(kind_);
  ScVae vae_;
  std::vector<at::Tensor> trained_;
};

TEST_P(VaeLoss, IsFiniteAndFalls) {
  torch::optim::Adam optimizer(trained_, torch::optim::AdamOptions(3e-3));
  double first = 0, last = 0;
  for (int64_t step = 0; step < 12; ++step) {
    const at::Tensor value = loss(step);
    last = value.item<double>();
    ASSERT_TRUE(std::isfinite(last)) << "step " << step;
    if (step == 0) first = last;
    optimizer.zero_grad();
    value.backward();
    optimizer.step();
  }
  EXPECT_LT(last, 0.8 * first);
}

TEST_P(VaeLoss, GivesEveryParameterAGradient) {
  loss(0).backward();
  for (const auto* parameters : {&vae_.encoder_parameters, &vae_.decoder_parameters}) {
    for (const auto& [name, tensor] : *parameters) EXPECT_TRUE(tensor.grad().defined()) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, VaeLoss, testing::Values(&kShape, &kTexture),
                         [](const auto& instance) { return std::string(instance.param->name); });

TEST(LedDecode, ComparesEachVoxelWithItself) {
  const auto vae = fresh_vae(kTexture, 5);
  ASSERT_TRUE(vae.ok()) << vae.status();
  const VoxelGrid grids[] = {checkered_ball(kTexture), checkered_ball(kTexture)};
  const PhiloxStream noise[] = {PhiloxStream(7), PhiloxStream(8)};
  const LedDecode decode = led_decode(kTexture, *vae, grids, noise);
  ASSERT_EQ(decode.output.sizes(), decode.input.sizes());
  ASSERT_EQ(decode.input.size(0), 2 * grids[0].voxels());
  // The input's rows, in another order within each object.
  const at::Tensor want = kTexture.channels(grids[1].values).sum(0);
  const at::Tensor got = decode.input.narrow(0, grids[0].voxels(), grids[1].voxels()).sum(0);
  EXPECT_TRUE(at::allclose(got, want, 1e-4, 1e-2));
  EXPECT_TRUE(decode.predictions.empty());
}

TEST(Patchwork, GivesManyColoursOnTheSameVoxels) {
  const VoxelGrid part = checkered_ball(kTexture);
  PhiloxStream random(3), again(3);
  const VoxelGrid patched = patchwork(part, random);
  EXPECT_TRUE(patched.coords.equal(part.coords));
  EXPECT_TRUE(patched.values.equal(patchwork(part, again).values));
  const auto colors = [](const VoxelGrid& grid) {
    return std::get<0>(at::unique_dim(grid.values.narrow(1, 0, 3), 0)).size(0);
  };
  EXPECT_LE(colors(part), 8);  // two paints, mixed in the voxels between them
  EXPECT_GE(colors(patched), 12);
}

TEST(LatentStatistics, NormaliseTheLatentsTheyComeFromAndBack) {
  const at::Tensor coords = at::zeros({50, 3}, at::TensorOptions(at::kInt));
  const StructuredLatents latents{{{coords, at::randn({50, 32}) * 3 + 2}, {coords, at::randn({50, 32}) * 3 + 2}}, {}};
  const nn::LatentNormalization statistics = latent_statistics(latents);
  const at::Tensor all = at::cat({latents.objects[0].feats, latents.objects[1].feats});
  const at::Tensor network_space = normalized(all, statistics);
  EXPECT_TRUE(at::allclose(network_space.mean(0), at::zeros({32}), 0, 1e-5));
  EXPECT_TRUE(at::allclose(network_space.std(0, /*unbiased=*/false), at::ones({32}), 1e-4));
  EXPECT_TRUE(at::allclose(denormalized(network_space, statistics), all, 1e-4, 1e-5));
}

}  // namespace
}  // namespace espalier::nano
