#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <filesystem>

#include "infer/networks.h"
#include "nano/corpus.h"
#include "nano/evaluation.h"
#include "nano/latent_kinds.h"
#include "nano/objects.h"
#include "nano/paint.h"
#include "nano/shape_evaluation.h"
#include "nano/solids.h"
#include "nano/texture_evaluation.h"
#include "nano/texture_generation.h"
#include "nn/io/base_model.h"
#include "nn/io/load_model.h"

// The base in the source tree, as a clone gets it.
namespace espalier::nano {
namespace {

const std::filesystem::path kFolder = std::filesystem::path(ESP_SOURCE_DIR) / "models/nano";
const nn::LoadOptions kFloat32{at::kFloat, c10::kCPU};

TEST(CommittedBase, IsWhatItsManifestSaysAndFitsItsLimit) {
  const auto base = nn::BaseModel::open(kFolder);
  ASSERT_TRUE(base.ok()) << base.status();
  EXPECT_EQ(base->name(), "nano");
  EXPECT_EQ(base->licence(), "Apache-2.0");
  EXPECT_DOUBLE_EQ(base->grid_scale(), 0.25);
  ASSERT_TRUE(base->recommended_learning_rate().has_value());
  EXPECT_TRUE(base->verify_checksums().ok()) << base->verify_checksums();
  uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kFolder)) {
    if (entry.is_regular_file()) bytes += entry.file_size();
  }
  EXPECT_LE(bytes, 24u << 20);
}

TEST(CommittedBase, KeepsTheShapeOfObjectsItWasNotTrainedOn) {
  const at::NoGradGuard no_grad;
  const auto base = nn::BaseModel::open(kFolder);
  ASSERT_TRUE(base.ok()) << base.status();
  const auto encoder = nn::load_ss_encoder(*base, kFloat32);
  const auto decoder = nn::load_ss_decoder(*base, kFloat32);
  ASSERT_TRUE(encoder.ok() && decoder.ok()) << encoder.status() << decoder.status();
  const auto cells = object_occupancies(/*seed=*/77, /*count=*/20, /*threads=*/1);
  ASSERT_TRUE(cells.ok()) << cells.status();
  const at::Tensor latent = (*encoder)->forward(cells->unsqueeze(1).to(at::kFloat)).mean;
  EXPECT_NEAR(latent.std().item<double>(), 1, 0.2) << "the denoiser expects unit spread";
  const at::Tensor decoded = (*decoder)->forward(latent).squeeze(1) > 0;
  EXPECT_GT(iou(decoded, *cells > 0).mean().item<double>(), 0.9);
}

TEST(CommittedBase, RunsEveryPipelineItPromises) {
  const auto base = nn::BaseModel::open(kFolder);
  ASSERT_TRUE(base.ok()) << base.status();
  const auto networks = infer::Networks::open(*base, {});
  ASSERT_TRUE(networks.ok()) << networks.status();
  for (const char* name : {"512", "1024", "1024_cascade"}) {
    EXPECT_TRUE((*networks)->can_run(*infer::find_pipeline(name))) << name;
  }
  EXPECT_EQ(base->shape_slat_normalization().mean.size(), 32u);
}

TEST(CommittedBase, ReconstructsAnEllipsoidAtBothTiers) {
  const auto base = nn::BaseModel::open(kFolder);
  ASSERT_TRUE(base.ok()) << base.status();
  const auto encoder = nn::load_sc_encoder(*base, "shape_slat_encoder", kFloat32);
  const auto decoder = nn::load_sc_decoder(*base, "shape_slat_decoder", kFloat32);
  ASSERT_TRUE(encoder.ok() && decoder.ok()) << encoder.status() << decoder.status();
  SceneBuilder builder;
  builder.add(superellipsoid({0.3f, 0.4f, 0.25f}, 1, 1), builder.add_material({1, 1, 1}, 0, 1));
  const mesh::Scene scene = builder.take();
  for (const int resolution : {128, 256}) {
    const auto grid = shape_grid(scene, resolution);
    ASSERT_TRUE(grid.ok()) << grid.status();
    const auto got = reconstructed(**encoder, **decoder, *grid, resolution);
    ASSERT_TRUE(got.ok()) << got.status();
    const infer::DecodedShape want = as_decoded(*grid, resolution);
    EXPECT_GT(grid_agreement(*got, want).f1_within_one, 0.95) << resolution;
    const auto surfaces = mesh_agreement(*got, want);
    ASSERT_TRUE(surfaces.ok()) << surfaces.status();
    EXPECT_LT(surfaces->chamfer, 2.0 / 128) << resolution;
  }
}

TEST(CommittedBase, KeepsAPatternAtBothTiers) {
  const auto base = nn::BaseModel::open(kFolder);
  ASSERT_TRUE(base.ok()) << base.status();
  const auto encoder = nn::load_sc_encoder(*base, "tex_slat_encoder", kFloat32);
  const auto decoder = nn::load_sc_decoder(*base, "tex_slat_decoder", kFloat32);
  ASSERT_TRUE(encoder.ok() && decoder.ok()) << encoder.status() << decoder.status();
  const Paint paints[] = {{{0.9f, 0.2f, 0.1f}, 0, 0.7f}, {{0.1f, 0.3f, 0.8f}, 1, 0.2f}};
  SceneBuilder builder;
  builder.add(mapped(superellipsoid({0.3f, 0.4f, 0.25f}, 1, 1), {0, 2, 0}, {}), builder.add_tiles(paints, 2));
  const mesh::Scene scene = builder.take();
  for (const int resolution : {128, 256}) {
    const auto grid = texture_grid(scene, resolution);
    ASSERT_TRUE(grid.ok()) << grid.status();
    const at::Tensor decoded = decoded_texture(**decoder, texture_latent(**encoder, *grid), *grid);
    const TextureError error = texture_error(decoded, *grid);
    EXPECT_GT(psnr(error.color), 20) << resolution;
    EXPECT_GT(psnr(error.metallic), 15) << resolution;
    EXPECT_GT(psnr(error.roughness), 20) << resolution;
  }
}

TEST(CommittedBase, GivesATextureTheColourOfItsPicture) {
  const auto base = nn::BaseModel::open(kFolder);
  ASSERT_TRUE(base.ok()) << base.status();
  const auto shape_encoder = nn::load_sc_encoder(*base, "shape_slat_encoder", kFloat32);
  const auto decoder = nn::load_sc_decoder(*base, "tex_slat_decoder", kFloat32);
  const auto flow = nn::load_slat_flow(*base, "tex_slat_flow_model_512", kFloat32);
  const auto image_encoder = nn::load_image_encoder(*base, kFloat32);
  ASSERT_TRUE(shape_encoder.ok() && decoder.ok()) << shape_encoder.status() << decoder.status();
  ASSERT_TRUE(flow.ok() && image_encoder.ok()) << flow.status() << image_encoder.status();
  ASSERT_EQ(base->tex_slat_normalization().mean.size(), 32u);
  SceneBuilder builder;
  builder.add(superellipsoid({0.3f, 0.4f, 0.25f}, 1, 1), builder.add_material({1, 1, 1}, 0, 1));
  const auto grid = shape_grid(builder.take(), 128);
  ASSERT_TRUE(grid.ok()) << grid.status();
  const at::NoGradGuard no_grad;
  const nn::SparseTensor cells = (*shape_encoder)->forward(voxel_batch(kShape, {&*grid, 1})).mean;
  const StructuredLatent shape{cells.coords.narrow(1, 1, 3).contiguous(), cells.feats};
  const auto color = [&](const std::array<double, 3>& seen) {  // the mean base colour that a picture of it leads to
    at::Tensor picture = at::zeros({1, 3, 128, 128});
    for (int64_t i = 0; i < 3; ++i) picture[0][i].slice(0, 24, 104).slice(1, 16, 112).fill_(seen[i]);
    const at::Tensor tokens = (*image_encoder)->forward(nn::normalize_pixels(picture));
    const auto latent =
        generated_texture(**flow, *base, sampler_params(base->tex_slat_sampler()), shape, tokens, /*seed=*/1);
    EXPECT_TRUE(latent.ok()) << latent.status();
    return decoded_texture(**decoder, *latent, *grid).narrow(1, 0, 3).mean(0);
  };
  const at::Tensor red = color({0.8, 0.1, 0.1}), blue = color({0.1, 0.1, 0.8});
  EXPECT_GT((red[0] - blue[0]).item<double>(), 0.2);
  EXPECT_GT((blue[2] - red[2]).item<double>(), 0.2);
}

}  // namespace
}  // namespace espalier::nano
