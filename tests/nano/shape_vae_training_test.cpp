#include "nano/shape_vae_training.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/optim/adam.h>
#include <torch/types.h>

#include "nano/objects.h"
#include "nano/shape_evaluation.h"
#include "nano/shape_latents.h"
#include "nano/solids.h"
#include "train/random.h"

namespace espalier::nano {
namespace {

ShapeGrid ball(int resolution) {
  SceneBuilder builder;
  builder.add(capsule(0.4f, 0), builder.add_material({1, 1, 1}, 0, 1));
  auto grid = shape_grid(builder.take(), resolution);
  EXPECT_TRUE(grid.ok()) << grid.status();
  return *std::move(grid);
}

TEST(ShapeVaeLoss, IsFiniteInAllPartsAndFalls) {
  auto vae = fresh_shape_vae(3);
  ASSERT_TRUE(vae.ok()) << vae.status();
  std::vector<at::Tensor> trained;
  for (auto* parameters : {&vae->encoder_parameters, &vae->decoder_parameters}) {
    for (auto& [name, tensor] : *parameters) trained.push_back(tensor.requires_grad_(true));
  }
  torch::optim::Adam optimizer(trained, torch::optim::AdamOptions(3e-3));
  const ShapeGrid grids[] = {ball(32)};
  double first = 0, last = 0;
  for (int64_t step = 0; step < 12; ++step) {
    const PhiloxStream noise[] = {train::random_stream(1, train::Purpose::kPosterior, step)};
    const ShapeLoss loss = shape_vae_loss(*vae, grids, noise);
    for (const at::Tensor& part : {loss.flags, loss.vertices, loss.subdivision, loss.kl, loss.split}) {
      ASSERT_TRUE(std::isfinite(part.item<double>())) << "step " << step;
    }
    last = loss.total().item<double>();
    if (step == 0) first = last;
    optimizer.zero_grad();
    loss.total().backward();
    optimizer.step();
  }
  EXPECT_LT(last, 0.8 * first);
}

TEST(ShapeVaeLoss, EveryParameterGetsAGradient) {
  auto vae = fresh_shape_vae(4);
  ASSERT_TRUE(vae.ok()) << vae.status();
  for (auto* parameters : {&vae->encoder_parameters, &vae->decoder_parameters}) {
    for (auto& [name, tensor] : *parameters) tensor.requires_grad_(true);
  }
  const ShapeGrid grids[] = {ball(32)};
  const PhiloxStream noise[] = {PhiloxStream(7)};
  shape_vae_loss(*vae, grids, noise).total().backward();
  for (const auto* parameters : {&vae->encoder_parameters, &vae->decoder_parameters}) {
    for (const auto& [name, tensor] : *parameters) EXPECT_TRUE(tensor.grad().defined()) << name;
  }
}

TEST(LatentStatistics, NormaliseTheLatentsTheyComeFrom) {
  const at::Tensor coords = at::zeros({50, 3}, at::TensorOptions(at::kInt));
  const ShapeLatents latents{{{coords, at::randn({50, 32}) * 3 + 2}, {coords, at::randn({50, 32}) * 3 + 2}}, {}};
  const nn::LatentNormalization statistics = latent_statistics(latents);
  const at::Tensor all = at::cat({latents.objects[0].feats, latents.objects[1].feats});
  const at::Tensor network_space = normalized(all, statistics);
  EXPECT_TRUE(at::allclose(network_space.mean(0), at::zeros({32}), 0, 1e-5));
  EXPECT_TRUE(at::allclose(network_space.std(0, /*unbiased=*/false), at::ones({32}), 1e-4));
}

}  // namespace
}  // namespace espalier::nano
