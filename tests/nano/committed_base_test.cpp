#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <filesystem>

#include "infer/networks.h"
#include "nano/corpus.h"
#include "nano/evaluation.h"
#include "nano/objects.h"
#include "nano/shape_evaluation.h"
#include "nano/solids.h"
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

}  // namespace
}  // namespace espalier::nano
