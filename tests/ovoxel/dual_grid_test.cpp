#include "ovoxel/dual_grid.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>

#include "golden_file.h"
#include "ovoxel/active_voxels.h"

namespace espalier::ovoxel {
namespace {

using nlohmann::json;

std::vector<mesh::Triangle> as_triangles(const std::vector<std::array<int32_t, 3>>& faces) {
  std::vector<mesh::Triangle> out;
  for (const auto& f : faces) out.push_back({uint32_t(f[0]), uint32_t(f[1]), uint32_t(f[2])});
  return out;
}

struct Case {
  std::string name;
  json params;
  std::vector<mesh::Vec3> vertices;
  std::vector<mesh::Triangle> triangles;
  GoldenFile expected;
};

Case load(const std::string& name) {
  const auto folder = golden_folder() / ("ovoxel_fdg_" + name);
  const GoldenFile input(folder / "input.safetensors");
  std::ifstream file(folder / "params.json");
  return {name, json::parse(file), input.rows<float, 3>("vertices"), as_triangles(input.rows<int32_t, 3>("faces")),
          GoldenFile(folder / "expected.safetensors")};
}

// The grid that one run of a case used; `suffix` "_vs" gives the voxel size instead of the grid size.
Grid grid_of(const Case& c, const std::string& suffix) {
  if (c.params["grid_size"].is_number()) return Grid::cube(c.params["grid_size"]);
  const GoldenFile input(golden_folder() / ("ovoxel_fdg_" + c.name) / "input.safetensors");
  const auto box = input.rows<float, 3>("aabb");
  Grid grid;
  grid.lo = box[0];
  for (int a = 0; a < 3; ++a) {
    if (suffix == "_vs") {
      grid.voxel_size[a] = static_cast<float>(c.params["voxel_size_run"]["voxel_size"].get<double>());
      grid.size[a] = static_cast<int32_t>(std::nearbyint((box[1][a] - box[0][a]) / grid.voxel_size[a]));
    } else {
      grid.size[a] = c.params["grid_size"][a];
      grid.voxel_size[a] = (box[1][a] - box[0][a]) / static_cast<float>(grid.size[a]);
    }
  }
  return grid;
}

std::map<Voxel, size_t> index_of(const std::vector<Voxel>& voxels) {
  std::map<Voxel, size_t> out;
  for (size_t i = 0; i < voxels.size(); ++i) out[voxels[i]] = i;
  return out;
}

// Share of voxels whose three local coordinates are within 1/255 of the expected ones.
double share_close(const DualGrid& got, const GoldenFile& expected, const std::string& suffix,
                   const std::string& coords, const Grid& grid) {
  const auto where = index_of(expected.rows<int32_t, 3>("coords" + coords));
  const auto want = expected.rows<float, 3>("dual_vertices" + suffix);
  size_t close = 0;
  for (size_t i = 0; i < got.voxels.size(); ++i) {
    const auto& w = want[where.at(got.voxels[i])];
    bool all = true;
    for (int a = 0; a < 3; ++a) all = all && std::abs(got.dual_vertices[i][a] - w[a]) / grid.voxel_size[a] <= 1.0 / 255;
    close += all;
  }
  return static_cast<double>(close) / static_cast<double>(got.voxels.size());
}

class ReferenceCase : public testing::TestWithParam<const char*> {};

TEST_P(ReferenceCase, HasExactlyTheReferencesVoxelsForEveryThreadCount) {
  const Case c = load(GetParam());
  for (const std::string suffix : {"", "_vs"}) {
    if (!c.expected.has("coords" + suffix)) continue;
    auto want = c.expected.rows<int32_t, 3>("coords" + suffix);
    std::sort(want.begin(), want.end());
    for (const int threads : {1, 2, 7}) {
      const auto got = active_voxels(c.vertices, c.triangles, grid_of(c, suffix), threads);
      ASSERT_TRUE(got.ok()) << got.status();
      EXPECT_EQ(*got, want) << suffix << " threads " << threads;
    }
  }
}

TEST_P(ReferenceCase, HasTheReferencesFlagsAndVertices) {
  const Case c = load(GetParam());
  const bool needles = c.name == "thin_blade" || c.name == "soup_out_of_range";
  auto runs = c.params["weights"];
  if (c.params.contains("voxel_size_run")) {
    runs.push_back({{"face", 1.0}, {"boundary", 1.0}, {"regularization", 0.1}, {"suffix", "_vs"}});
  }
  for (const auto& run : runs) {
    const std::string suffix = run["suffix"], coords = suffix == "_vs" ? suffix : "";
    const Grid grid = grid_of(c, suffix);
    const auto got = dual_grid(c.vertices, c.triangles, grid, {run["face"], run["boundary"], run["regularization"], 3});
    ASSERT_TRUE(got.ok()) << got.status();
    const auto where = index_of(c.expected.rows<int32_t, 3>("coords" + coords));
    const auto flags = c.expected.rows<uint8_t, 3>("intersected" + coords);
    ASSERT_EQ(got->voxels.size(), where.size());
    size_t wrong = 0;
    for (size_t i = 0; i < got->voxels.size(); ++i) {
      const auto& f = flags[where.at(got->voxels[i])];
      wrong += got->intersected[i] != f[0] + 2 * f[1] + 4 * f[2];
    }
    EXPECT_EQ(wrong, 0u) << suffix;
    const double share = share_close(*got, c.expected, suffix, coords, grid);
    RecordProperty("share" + suffix, std::to_string(share));
    // Ties between faces of a voxel fall either way with the order of float sums.
    EXPECT_GE(share, needles ? 0.97 : 0.995) << suffix;
  }
}

INSTANTIATE_TEST_SUITE_P(FlexibleDualGrid, ReferenceCase,
                         testing::Values("anisotropic", "grid_aligned", "nested_boxes", "open_sheet",
                                         "soup_out_of_range", "sphere", "t_junction", "thin_blade", "torus_knot"),
                         [](const auto& row) { return std::string(row.param); });

TEST(DualGrid, PutsEveryVertexInsideItsVoxel) {
  const Case c = load("soup_out_of_range");
  const Grid grid = grid_of(c, "");
  const DualGrid got = dual_grid(c.vertices, c.triangles, grid).value();
  for (size_t i = 0; i < got.voxels.size(); ++i) {
    for (int a = 0; a < 3; ++a) {
      EXPECT_GE(got.dual_vertices[i][a], grid.voxel_size[a] * float(got.voxels[i][a]) - 1e-6f);
      EXPECT_LE(got.dual_vertices[i][a], grid.voxel_size[a] * float(got.voxels[i][a] + 1) + 1e-6f);
    }
  }
}

TEST(DualGrid, IsTheSameForEveryThreadCount) {
  const Case c = load("torus_knot");
  const Grid grid = Grid::cube(100);
  const DualGrid one = dual_grid(c.vertices, c.triangles, grid, {1, 0.2f, 0.01f, 1}).value();
  const DualGrid five = dual_grid(c.vertices, c.triangles, grid, {1, 0.2f, 0.01f, 5}).value();
  EXPECT_EQ(one.voxels, five.voxels);
  EXPECT_EQ(one.dual_vertices, five.dual_vertices);
  EXPECT_EQ(one.intersected, five.intersected);
}

TEST(DualGrid, PacksVerticesByTruncation) {
  EXPECT_EQ(packed_vertex({0.25f, 0.125f, 0.9999f}, {2, 1, 9}, 10), (std::array<uint8_t, 3>{127, 63, 254}));
  EXPECT_EQ(packed_vertex({0.1f, 0.3f, 0.2f}, {2, 1, 2}, 10), (std::array<uint8_t, 3>{0, 255, 0}));
}

TEST(ActiveVoxels, RejectsWhatItCannotConvert) {
  const std::vector<mesh::Vec3> points = {{0, 0, 0}, {0.1f, 0, 0}, {0, 0.1f, 0}};
  const std::vector<mesh::Triangle> face = {{0, 1, 2}}, beyond = {{0, 1, 3}};
  std::vector<mesh::Vec3> infinite = points;
  infinite[1][2] = INFINITY;
  EXPECT_FALSE(active_voxels(points, beyond, Grid::cube(8)).ok());
  EXPECT_FALSE(active_voxels(infinite, face, Grid::cube(8)).ok());
  EXPECT_FALSE(active_voxels(points, face, Grid::cube(0)).ok());
  EXPECT_FALSE(active_voxels(points, face, Grid::cube(2049)).ok());
  EXPECT_TRUE(active_voxels(points, {}, Grid::cube(8)).value().empty());
}

TEST(ActiveVoxels, OfFarTrianglesAreNoneAndTheSearchEnds) {
  const std::vector<mesh::Vec3> points = {{1e9f, 1e9f, 1e9f}, {2e9f, 1e9f, 1e9f}, {1e9f, 2e9f, 1e9f}};
  EXPECT_TRUE(active_voxels(points, std::vector<mesh::Triangle>{{0, 1, 2}}, Grid::cube(64)).value().empty());
}

TEST(ActiveVoxels, OfABigTriangleAreTheSameInOneSlabAndInMany) {
  // The slabs of a fine grid see only their own part of each triangle; a coarse one has a single slab.
  const std::vector<mesh::Vec3> points = {{-0.49f, -0.4f, -0.3f}, {0.48f, 0.1f, 0.41f}, {-0.2f, 0.47f, 0.2f}};
  const std::vector<mesh::Triangle> face = {{0, 1, 2}};
  const auto fine = active_voxels(points, face, Grid::cube(256)).value();
  // Shifting the grid by whole voxels moves the slab borders but not the voxels.
  Grid shifted = Grid::cube(256);
  shifted.lo[0] -= 5.0f / 256;
  shifted.size[0] += 5;
  auto moved = active_voxels(points, face, shifted).value();
  for (Voxel& v : moved) v[0] -= 5;
  EXPECT_EQ(fine, moved);
}

}  // namespace
}  // namespace espalier::ovoxel
