#include "mesh/writers.h"

#include <gmock/gmock.h>

#include <cmath>

#include "common/files.h"
#include "mesh/glb_writer.h"
#include "mesh/import.h"

namespace espalier::mesh {
namespace {

using ::testing::HasSubstr;

// A tetrahedron with awkward numbers, twice, the second without normals when asked for.
Scene two_tetrahedra(bool normals_on_both) {
  Mesh mesh;
  mesh.positions = {{0.1f, -0.0f, 1e-7f}, {1.0f / 3, 0, 0}, {0, 123456.7f, 0}, {0, 0.25f, -0.7f}};
  mesh.normals.assign(4, {0, 0, 1});
  mesh.triangles = {{0, 2, 1}, {0, 1, 3}, {1, 2, 3}, {0, 3, 2}};
  mesh.material_ids.assign(4, -1);
  Scene scene;
  scene.meshes = {mesh, mesh};
  for (Vec3& p : scene.meshes[1].positions) p[0] += 2;
  if (!normals_on_both) scene.meshes[1].normals.clear();
  return scene;
}

std::vector<Vec3> corners(const Scene& scene) {
  std::vector<Vec3> out;
  for (const Mesh& mesh : scene.meshes) {
    for (const Triangle& t : mesh.triangles) {
      for (const uint32_t vertex : t) out.push_back(mesh.positions[vertex]);
    }
  }
  return out;
}

struct Writer {
  const char* extension;
  Result<std::string> (*write)(const Scene&);
};
constexpr Writer kWriters[] = {{".obj", write_obj}, {".ply", write_ply}, {".stl", write_stl}};

TEST(Writers, GiveFilesThatReadBackBitForBit) {
  const TempDir folder = *TempDir::create();
  for (const bool normals : {true, false}) {
    const Scene scene = two_tetrahedra(normals);
    for (const Writer& writer : kWriters) {
      const auto bytes = writer.write(scene);
      ASSERT_TRUE(bytes.ok()) << bytes.status();
      EXPECT_EQ(*bytes, *writer.write(scene));
      const auto file = folder.path() / (std::string("a") + writer.extension);
      ASSERT_TRUE(write_file_atomic(file, *bytes).ok());
      const auto read = import_scene(file);
      ASSERT_TRUE(read.ok()) << writer.extension << ": " << read.status();
      EXPECT_EQ(corners(*read), corners(scene)) << writer.extension;
    }
  }
}

TEST(Writers, KeepNormalsWhereTheFormatHasThem) {
  const TempDir folder = *TempDir::create();
  for (const Writer& writer : {kWriters[0], kWriters[1]}) {
    const auto file = folder.path() / (std::string("a") + writer.extension);
    ASSERT_TRUE(write_file_atomic(file, *writer.write(two_tetrahedra(true))).ok());
    const auto read = import_scene(file);
    ASSERT_TRUE(read.ok()) << read.status();
    for (const Mesh& mesh : read->meshes) {
      ASSERT_EQ(mesh.normals.size(), mesh.positions.size()) << writer.extension;
      for (const Vec3& n : mesh.normals) EXPECT_EQ(n, (Vec3{0, 0, 1})) << writer.extension;
    }
  }
}

TEST(Writers, RefuseASceneWithoutTrianglesOrWithBadIndices) {
  Scene bad = two_tetrahedra(true);
  bad.meshes[0].triangles[0][0] = 4;
  for (const Writer& writer : kWriters) {
    EXPECT_TRUE(absl::IsInvalidArgument(writer.write({}).status()));
    EXPECT_TRUE(absl::IsInvalidArgument(writer.write(bad).status()));
  }
}

}  // namespace
}  // namespace espalier::mesh
