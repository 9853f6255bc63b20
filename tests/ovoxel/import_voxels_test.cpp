#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>

#include "golden_file.h"
#include "mesh/import.h"
#include "mesh/normalize.h"
#include "ovoxel/dual_grid.h"

namespace espalier::ovoxel {
namespace {

// Bits of x, y, z interleaved, x most significant.
Voxel from_z_order(int32_t code) {
  Voxel out{0, 0, 0};
  for (int bit = 0; bit < 10; ++bit) {
    for (int a = 0; a < 3; ++a) out[a] |= (code >> (3 * bit + 2 - a) & 1) << bit;
  }
  return out;
}

class ImportedScene : public testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(ImportedScene, GivesTheReferencesVoxels) {
  const auto folder = golden_folder() / (std::string("ovoxel_import_") + GetParam().first);
  auto scene = mesh::import_scene(folder / "asset" / GetParam().second);
  ASSERT_TRUE(scene.ok()) << scene.status();
  ASSERT_TRUE(mesh::normalize(*scene).ok());
  std::ifstream file(folder / "params.json");
  const int32_t resolution = nlohmann::json::parse(file)["grid_size"];
  const mesh::Surface surface = welded(*scene);
  const DualGrid got = dual_grid(surface.positions, surface.triangles, Grid::cube(resolution)).value();
  const GoldenFile expected(folder / "expected.safetensors");
  const auto codes = expected.rows<int32_t, 1>("zcode");
  const auto vertices = expected.rows<uint8_t, 3>("vertices_u8");
  const auto flags = expected.rows<uint8_t, 1>("intersected_u8");
  std::map<Voxel, size_t> where;
  for (size_t i = 0; i < codes.size(); ++i) where[from_z_order(codes[i][0])] = i;
  size_t common = 0, same_flags = 0;
  double difference = 0;
  for (size_t i = 0; i < got.voxels.size(); ++i) {
    const auto found = where.find(got.voxels[i]);
    if (found == where.end()) continue;
    ++common;
    same_flags += flags[found->second][0] == got.intersected[i];
    const auto packed = packed_vertex(got.dual_vertices[i], got.voxels[i], resolution);
    for (int a = 0; a < 3; ++a) difference += std::abs(packed[a] - vertices[found->second][a]) / 3.0;
  }
  const double iou = double(common) / double(codes.size() + got.voxels.size() - common);
  RecordProperty("iou", std::to_string(iou));
  RecordProperty("difference", std::to_string(difference / double(common)));
  EXPECT_GE(iou, 0.995);
  EXPECT_GE(double(same_flags), 0.995 * double(common));
  EXPECT_LE(difference / double(common), 3.0);
}

INSTANTIATE_TEST_SUITE_P(Import, ImportedScene,
                         testing::Values(std::pair{"glb", "scene.glb"}, std::pair{"gltf", "scene_sep.gltf"},
                                         std::pair{"obj", "scene.obj"}, std::pair{"ply", "scene.ply"},
                                         std::pair{"stl", "scene.stl"}, std::pair{"fbx", "scene.fbx"}),
                         [](const auto& row) { return std::string(row.param.first); });

}  // namespace
}  // namespace espalier::ovoxel
