#include "nano/texture_evaluation.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>

#include "nano/objects.h"
#include "nano/solids.h"
#include "nano/vae_training.h"

namespace espalier::nano {
namespace {

VoxelGrid grey_voxels() {
  return {at::zeros({10, 3}, at::TensorOptions(at::kByte)), at::full({10, 6}, 51, at::TensorOptions(at::kByte))};
}

TEST(TextureError, IsTheMeanSquareByAttribute) {
  const VoxelGrid want = grey_voxels();  // 0.2 everywhere
  at::Tensor got = at::full({10, 6}, 0.2);
  got.select(1, 0) += 0.3;
  got.select(1, 3).fill_(1.5);  // counts as 1
  got.select(1, 5).fill_(-1);
  const TextureError error = texture_error(got, want);
  EXPECT_NEAR(error.color, 0.09 / 3, 1e-6);
  EXPECT_NEAR(error.metallic, 0.64, 1e-6);
  EXPECT_NEAR(error.roughness, 0, 1e-6);
  EXPECT_NEAR(error.alpha, 0.04, 1e-6);
}

TEST(Psnr, IsInDecibelsAndFiniteForNoError) {
  EXPECT_NEAR(psnr(0.01), 20, 1e-9);
  EXPECT_TRUE(std::isfinite(psnr(0)));
  EXPECT_GT(psnr(0), 55);
}

TEST(DecodedTexture, HasTheRowsOfTheGridWhateverTheirOrder) {
  const auto vae = fresh_vae(kTexture, 6);
  ASSERT_TRUE(vae.ok()) << vae.status();
  SceneBuilder builder;
  builder.add(capsule(0.3f, 0.2f), builder.add_material({0.7f, 0.2f, 0.1f}, 0, 1));
  const auto grid = texture_grid(builder.take(), 32);
  ASSERT_TRUE(grid.ok()) << grid.status();
  const at::Tensor latent = texture_latent(*vae->encoder, *grid);
  const at::Tensor order = at::randperm(grid->voxels());
  const VoxelGrid other{grid->coords.index_select(0, order), grid->values.index_select(0, order)};
  const at::Tensor decoded = decoded_texture(*vae->decoder, latent, *grid);
  EXPECT_GT(decoded.std(0).amin().item<double>(), 0) << "voxels must differ for their order to show";
  EXPECT_TRUE(at::allclose(decoded_texture(*vae->decoder, latent, other), decoded.index_select(0, order), 1e-4, 1e-5));
}

}  // namespace
}  // namespace espalier::nano
