#include <gtest/gtest.h>

#include <random>

#include "bake/volume_sampler.h"
#include "common/files.h"
#include "mesh/glb_writer.h"
#include "mesh/import.h"
#include "mesh/normalize.h"
#include "ovoxel/dual_grid.h"
#include "ovoxel/dual_mesh.h"
#include "ovoxel/pbr_voxels.h"
#include "tests/bake/scenes.h"
#include "tests/bake/volumes.h"
#include "tests/render/picture_metrics.h"

// A scene to voxels and, by way of a file, back to a textured mesh.
namespace espalier::bake {
namespace {

// What the voxels of a scene hold.
struct Voxels {
  std::vector<ovoxel::Voxel> voxels;
  std::vector<Attributes> values;
  int32_t resolution;
  mesh::Surface surface;

  Voxels(const mesh::Scene& scene, int32_t side) : resolution(side) {
    const ovoxel::VoxelTable table = *ovoxel::pbr_voxels(scene, side);
    voxels = table.voxels;
    const auto byte = [&](const char* name, size_t at) {
      return static_cast<float>(table.attribute(name)->values[at]) / 255;
    };
    for (size_t i = 0; i < voxels.size(); ++i) {
      values.push_back({byte("base_color", 3 * i), byte("base_color", 3 * i + 1), byte("base_color", 3 * i + 2),
                        byte("metallic", i), byte("roughness", i), byte("alpha", i)});
    }
    const mesh::Surface whole = ovoxel::welded(scene);
    const auto grid = ovoxel::Grid::cube(side);
    const ovoxel::DualGrid dual = *ovoxel::dual_grid(whole.positions, whole.triangles, grid);
    std::vector<mesh::Vec3> local(dual.voxels.size());
    for (size_t i = 0; i < local.size(); ++i) {
      for (size_t a = 0; a < 3; ++a) {
        local[i][a] = dual.dual_vertices[i][a] * static_cast<float>(side) - static_cast<float>(dual.voxels[i][a]);
      }
    }
    surface = *ovoxel::dual_mesh({dual.voxels, local, dual.intersected, {}}, grid);
    EXPECT_TRUE(mesh::repair(surface).ok());
    EXPECT_TRUE(mesh::orient(surface).ok());
  }
  AttributeVolume volume() const { return {voxels, values, resolution}; }
};

// Of texels whose triangle's place is known, all channels, against the volume at that place.
double texel_error(const mesh::Scene& scene, const VolumeSampler& volume) {
  std::mt19937 random(4);
  const mesh::Mesh& mesh = scene.meshes[0];
  const image::Image &color = scene.images[static_cast<size_t>(scene.materials[0].base_color_texture->image)],
                     &material = scene.images[static_cast<size_t>(scene.materials[0].roughness_texture->image)];
  double sum = 0;
  int count = 0;
  for (int i = 0; i < 20'000; ++i) {
    const mesh::Triangle& t = mesh.triangles[random() % mesh.triangles.size()];
    mesh::Vec3 place{};
    std::array<double, 2> uv{};
    for (const uint32_t v : t) {
      for (size_t a = 0; a < 3; ++a) place[a] += mesh.positions[v][a] / 3;
      for (size_t a = 0; a < 2; ++a) uv[a] += double{mesh.uvs[v][a]} / 3;
    }
    const auto want = volume.sample(place);
    if (!want) continue;
    const auto texel = [&](const image::Image& image) {
      return image.at(static_cast<int>(uv[0] * image.width), static_cast<int>(uv[1] * image.height));
    };
    for (size_t c = 0; c < 3; ++c) sum += std::abs(texel(color)[c] - 255 * (*want)[c]);
    sum += std::abs(texel(material)[2] - 255 * (*want)[3]) + std::abs(texel(material)[1] - 255 * (*want)[4]);
    count += 5;
  }
  EXPECT_GT(count, 1000);
  return sum / count;
}

TEST(RoundTrip, LooksLikeTheSceneItCameFrom) {
  const struct {
    const char* name;
    mesh::Scene scene;
    AlphaChoice alpha;
    double psnr;  // dB; measured about 3 more
  } rows[] = {{"textured box", textured_box(), AlphaChoice::kAutomatic, 42},
              {"ball grid", ball_grid(), AlphaChoice::kAutomatic, 45},
              {"leaf card", leaf_card(), AlphaChoice::kMask, 42}};
  const TempDir folder = *TempDir::create();
  for (const auto& row : rows) {
    const Voxels voxels(row.scene, 128);
    BakeOptions options = small(1024);
    options.alpha = row.alpha;
    const auto object = bake(voxels.surface, voxels.surface, voxels.volume(), options);
    ASSERT_TRUE(object.ok()) << row.name << ": " << object.status();
    const auto file = folder.path() / "object.glb";
    ASSERT_TRUE(write_file_atomic(file, *mesh::write_glb(object->scene)).ok());
    const auto back = mesh::import_scene(file);
    ASSERT_TRUE(back.ok()) << row.name << ": " << back.status();
    EXPECT_EQ(back->materials[0].alpha_mode,
              row.alpha == AlphaChoice::kMask ? mesh::AlphaMode::kMask : mesh::AlphaMode::kOpaque);
    EXPECT_LE(texel_error(*back, *VolumeSampler::over(voxels.volume())), 2) << row.name;
    const auto metrics = render::compare_pictures(picture(row.scene), picture(*back));
    EXPECT_GE(metrics.psnr, row.psnr) << row.name;
  }
}

}  // namespace
}  // namespace espalier::bake
