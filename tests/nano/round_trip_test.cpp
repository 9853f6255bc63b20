#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "common/files.h"
#include "infer/engine.h"
#include "mesh/import.h"
#include "nano/latent_kinds.h"
#include "nano/structured_latents.h"
#include "nano/texture_evaluation.h"
#include "tests/bake/scenes.h"
#include "tests/render/picture_metrics.h"

// A scene through everything but the denoisers of the committed base: voxels, latents, voxels, a file.
namespace espalier::nano {
namespace {

constexpr int kVoxels = 128, kTexels = 1024;
const std::filesystem::path kBase = std::filesystem::path(ESP_SOURCE_DIR) / "models/nano";

std::vector<float> flat(const at::Tensor& feats) {
  const at::Tensor host = feats.contiguous();
  return {host.const_data_ptr<float>(), host.const_data_ptr<float>() + host.numel()};
}

Result<infer::StoredLatents> encoded(const mesh::Scene& scene) {
  const at::NoGradGuard no_grad;
  ESP_ASSIGN(const LatentEncoder shapes, load_encoder(kShape, kBase));
  ESP_ASSIGN(const LatentEncoder textures, load_encoder(kTexture, kBase));
  ESP_ASSIGN(const VoxelGrid shape, shape_grid(scene, kVoxels));
  ESP_ASSIGN(const VoxelGrid texture, texture_grid(scene, kVoxels));
  const nn::SparseTensor mean = shapes.network->forward(voxel_batch(kShape, {&shape, 1})).mean;
  infer::StoredLatents stored;
  stored.cells_per_side = kVoxels / 16;
  for (int64_t i = 0; i < mean.coords.size(0); ++i) {
    const auto* cell = mean.coords.const_data_ptr<int32_t>() + 4 * i;
    stored.cells.push_back({cell[1], cell[2], cell[3]});
  }
  stored.shape = flat(mean.feats);
  stored.texture = flat(texture_latent(*textures.network, texture));
  return stored;
}

TEST(RoundTrip, LooksLikeTheSceneItCameFrom) {
  if (!std::filesystem::exists(kBase / "pipeline.json")) GTEST_SKIP() << "models/nano is not in the source tree";
  const struct {
    const char* name;
    mesh::Scene scene;
    bake::AlphaChoice alpha;
    double psnr;  // dB; measured about 3 more
  } rows[] = {{"textured box", bake::textured_box(), bake::AlphaChoice::kAutomatic, 26},
              {"ball grid", bake::ball_grid(), bake::AlphaChoice::kAutomatic, 21},
              {"leaf card", bake::leaf_card(), bake::AlphaChoice::kMask, 12}};
  const auto engine = infer::Engine::open({.base = kBase});
  ASSERT_TRUE(engine.ok()) << engine.status();
  const TempDir folder = *TempDir::create();
  for (const auto& row : rows) {
    const auto stored = encoded(row.scene);
    ASSERT_TRUE(stored.ok()) << row.name << ": " << stored.status();
    infer::OutputOptions options;
    options.texture_size = kTexels;
    options.alpha_mode = row.alpha;
    const auto made = (*engine)->decode(*stored, options);
    ASSERT_TRUE(made.ok()) << row.name << ": " << made.status();
    const auto file = folder.path() / "object.glb";
    ASSERT_TRUE(write_file_atomic(file, made->samples[0].file(infer::FileFormat::kGlb)).ok());
    const auto back = mesh::import_scene(file);
    ASSERT_TRUE(back.ok()) << row.name << ": " << back.status();
    const auto metrics = render::compare_pictures(bake::picture(row.scene), bake::picture(*back));
    std::printf("%s: %.1f dB\n", row.name, metrics.psnr);
    EXPECT_GE(metrics.psnr, row.psnr) << row.name;
  }
}

}  // namespace
}  // namespace espalier::nano
