#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <filesystem>

#include "nano/corpus.h"
#include "nano/evaluation.h"
#include "nano/objects.h"
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

}  // namespace
}  // namespace espalier::nano
