#include "nano/objects.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "common/files.h"
#include "mesh/import.h"
#include "mesh/normalize.h"
#include "nano/demo_objects.h"
#include "nano/solids.h"
#include "nano/voxel_grids.h"

namespace espalier::nano {
namespace {

// Empty when every edge of `mesh` is shared by exactly two triangles running through it in opposite directions.
std::string open_edge(const mesh::Mesh& mesh) {
  std::map<std::pair<uint32_t, uint32_t>, int> uses;
  for (const mesh::Triangle& t : mesh.triangles) {
    for (int i = 0; i < 3; ++i) ++uses[{t[i], t[(i + 1) % 3]}];
  }
  for (const auto& [edge, count] : uses) {
    const auto back = uses.find({edge.second, edge.first});
    if (count != 1 || back == uses.end()) return std::to_string(edge.first) + "-" + std::to_string(edge.second);
  }
  return "";
}

// Six times the enclosed volume; positive when the triangles face outwards.
double signed_volume(const mesh::Mesh& mesh) {
  double sum = 0;
  for (const mesh::Triangle& t : mesh.triangles) {
    const auto &a = mesh.positions[t[0]], &b = mesh.positions[t[1]], &c = mesh.positions[t[2]];
    sum += a[0] * (b[1] * c[2] - b[2] * c[1]) + a[1] * (b[2] * c[0] - b[0] * c[2]) + a[2] * (b[0] * c[1] - b[1] * c[0]);
  }
  return sum;
}

TEST(Objects, OfTheSameSeedAndIndexAreEqual) {
  for (uint32_t index = 0; index < 20; ++index) {
    const Object a = make_object(7, index), b = make_object(7, index);
    ASSERT_EQ(a.scene.meshes.size(), b.scene.meshes.size());
    for (size_t m = 0; m < a.scene.meshes.size(); ++m) {
      EXPECT_EQ(a.scene.meshes[m].positions, b.scene.meshes[m].positions);
      EXPECT_EQ(a.scene.meshes[m].triangles, b.scene.meshes[m].triangles);
    }
  }
}

TEST(Objects, DifferBetweenSeedsAndRounds) {
  EXPECT_NE(make_object(1, 0).scene.meshes[0].positions, make_object(2, 0).scene.meshes[0].positions);
  EXPECT_NE(make_object(1, 0).scene.meshes[0].positions, make_object(1, 20).scene.meshes[0].positions);
}

TEST(Objects, RunThroughAllFamiliesInEveryRound) {
  std::set<std::string> seen;
  for (uint32_t index = 0; index < 20; ++index) seen.insert(make_object(3, index).family);
  EXPECT_EQ(seen.size(), families().size());
  EXPECT_GE(families().size(), 8u);
  for (const auto family : families()) EXPECT_TRUE(seen.count(std::string(family))) << family;
}

TEST(Objects, AreClosedOutwardFacingValidAndFillTheUnitCube) {
  for (uint32_t index = 0; index < 200; ++index) {
    const Object object = make_object(11, index);
    SCOPED_TRACE(object.family + " " + std::to_string(index));
    EXPECT_TRUE(mesh::validate(object.scene).ok());
    for (const mesh::Mesh& part : object.scene.meshes) {
      EXPECT_EQ(open_edge(part), "");
      EXPECT_GT(signed_volume(part), 1e-5);
    }
    const auto bounds = mesh::bounds(object.scene);
    ASSERT_TRUE(bounds.ok());
    float longest = 0;
    for (int axis = 0; axis < 3; ++axis) longest = std::max(longest, bounds->max[axis] - bounds->min[axis]);
    EXPECT_NEAR(longest, 1, 1e-3);
    EXPECT_GE(bounds->max[0] - bounds->min[0], (bounds->max[1] - bounds->min[1]) * 0.99f) << "x is the longer side";
  }
}

TEST(Objects, KeepTheirPoseHoweverTheyWereTurned) {
  for (uint32_t index = 0; index < 40; ++index) {
    const Object object = make_object(5, index);
    mesh::Scene turned = object.scene;
    if (!turn_to_canonical_pose(turned)) continue;  // symmetric: a half turn changes nothing that could be seen
    for (mesh::Mesh& part : turned.meshes) part = rotated_z(std::move(part), 3.14159265358979f);
    turn_to_canonical_pose(turned);
    for (size_t m = 0; m < turned.meshes.size(); ++m) {
      for (size_t v = 0; v < turned.meshes[m].positions.size(); ++v) {
        for (int axis = 0; axis < 3; ++axis) {
          ASSERT_NEAR(turned.meshes[m].positions[v][axis], object.scene.meshes[m].positions[v][axis], 1e-4) << index;
        }
      }
    }
  }
}

TEST(DemoObjects, AreClosedNormalisedAndNamedApart) {
  const auto objects = demo_objects(8);
  ASSERT_TRUE(objects.ok()) << objects.status();
  std::set<std::string> names;
  for (const DemoObject& object : *objects) {
    SCOPED_TRACE(object.name);
    names.insert(object.name);
    EXPECT_TRUE(mesh::validate(object.scene).ok());
    for (const mesh::Mesh& part : object.scene.meshes) {
      EXPECT_EQ(open_edge(part), "");
      EXPECT_GT(signed_volume(part), 1e-4);
    }
  }
  EXPECT_EQ(names.size(), 8u);
}

TEST(DemoObjects, AreInSeveralColours) {
  const auto objects = demo_objects(8);
  ASSERT_TRUE(objects.ok()) << objects.status();
  bool some_metal = false;
  for (const DemoObject& object : *objects) {
    const auto grid = texture_grid(object.scene, 64);
    ASSERT_TRUE(grid.ok()) << grid.status();
    const at::Tensor color = grid->values.narrow(1, 0, 3).to(at::kFloat) / 255;
    const at::Tensor spread = color.std(0).amax();
    EXPECT_GT(spread.item<double>(), 0.1) << object.name;
    some_metal |= grid->values.select(1, 3).max().item<int>() == 255;
  }
  EXPECT_TRUE(some_metal);
}

TEST(DemoObjects, KeepTheirMaterialsInTheirFiles) {
  const auto folder = TempDir::create();
  ASSERT_TRUE(folder.ok());
  ASSERT_TRUE(write_demo_assets(folder->path(), 5).ok());
  const auto objects = demo_objects(5);
  ASSERT_TRUE(objects.ok()) << objects.status();
  for (const DemoObject& object : *objects) {
    const auto read = mesh::import_scene(folder->path() / (object.name + ".glb"));
    ASSERT_TRUE(read.ok()) << read.status();
    const auto want = texture_grid(object.scene, 64), got = texture_grid(*read, 64);
    ASSERT_TRUE(want.ok() && got.ok()) << want.status() << got.status();
    const at::Tensor a = want->values.to(at::kFloat).mean(0), b = got->values.to(at::kFloat).mean(0);
    EXPECT_TRUE(at::allclose(a, b, 0, 2)) << object.name << '\n' << a << b;
  }
}

TEST(DemoObjects, RefuseCountsOutOfRange) {
  EXPECT_EQ(demo_objects(0).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(demo_objects(9).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace espalier::nano
