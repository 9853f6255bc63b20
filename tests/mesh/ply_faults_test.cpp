#include <gtest/gtest.h>

#include "asset_folder.h"

// PLY files of older tools, and ones that are partly broken.
namespace espalier::mesh {
namespace {

const std::string kPoints = "0 0 0\n1 0 0\n1 1 0\n0 1 0\n";

std::string header(int vertices, const std::string& rest, const std::string& format = "ascii") {
  return "ply\nformat " + format + " 1.0\nelement vertex " + std::to_string(vertices) +
         "\nproperty float x\nproperty float y\nproperty float z\n" + rest + "end_header\n";
}

std::string strips(int rows) {
  return "element tristrips " + std::to_string(rows) + "\nproperty list int int vertex_indices\n";
}

std::string faces(int rows) {
  return "element face " + std::to_string(rows) + "\nproperty list uchar int vertex_indices\n";
}

using Triangles = std::vector<Triangle>;

TEST(PlyStrips, AreReadWithRestartsAndTurns) {
  const struct {
    const char* name;
    std::string rows;
    int count;
    Triangles want;
  } rows[] = {
      {"one triangle", "3 0 1 2\n", 1, {{0, 1, 2}}},
      {"every second one is turned", "4 0 1 3 2\n", 1, {{0, 1, 3}, {3, 1, 2}}},
      {"restart", "7 0 1 2 -1 0 2 3\n", 1, {{0, 1, 2}, {0, 2, 3}}},
      {"restart at the ends", "6 -1 0 1 2 -1 -1\n", 1, {{0, 1, 2}}},
      {"a repeated corner turns without a triangle", "5 0 1 1 2 3\n", 1, {{1, 2, 3}}},
      {"two rows", "3 0 1 2\n3 0 2 3\n", 2, {{0, 1, 2}, {0, 2, 3}}},
      {"two short rows make none", "3 0 1 2\n2 0 1\n1 3\n", 3, {{0, 1, 2}}},
  };
  const AssetFolder folder;
  for (const auto& row : rows) {
    const auto scene = folder.import("a.ply", header(4, strips(row.count)) + kPoints + row.rows);
    ASSERT_TRUE(scene.ok()) << row.name << ": " << scene.status();
    EXPECT_EQ(scene->meshes[0].triangles, row.want) << row.name;
    EXPECT_TRUE(scene->warnings.empty()) << row.name;
  }
}

TEST(PlyStrips, AreReadFromBinaryFilesAndBesideFaces) {
  const AssetFolder folder;
  const std::string points = floats({0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 1, 0});
  const auto scene =
      folder.import("a.ply", header(4, strips(1) + faces(1), "binary_little_endian") + points + little(5) + little(0) +
                                 little(1) + little(2) + little(static_cast<uint32_t>(-1)) + little(3) + "\x03" +
                                 little(0) + little(2) + little(3));
  ASSERT_TRUE(scene.ok()) << scene.status();
  EXPECT_EQ(scene->meshes[0].triangles, (Triangles{{0, 1, 2}, {0, 2, 3}}));
}

TEST(PlyFaces, AreLeftOutWhereTheyAreBroken) {
  const struct {
    const char* name;
    std::string body;
    const char* warning;
  } rows[] = {
      {"index too large", kPoints + "3 0 1 2\n3 0 2 3\n3 0 1 4\n",
       "1 of 3 faces cannot be used, the first: face 3: refers"},
      {"negative index", kPoints + "3 0 1 2\n3 0 2 3\n3 0 1 -1\n", "vertex -1 of 4"},
      {"two corners", kPoints + "3 0 1 2\n2 0 2\n3 0 2 3\n", "face 2: has fewer than three corners"},
  };
  const AssetFolder folder;
  for (const auto& row : rows) {
    const auto scene = folder.import("a.ply", header(4, faces(3)) + row.body);
    ASSERT_TRUE(scene.ok()) << row.name << ": " << scene.status();
    EXPECT_EQ(scene->meshes[0].triangles, (Triangles{{0, 1, 2}, {0, 2, 3}})) << row.name;
    ASSERT_EQ(scene->warnings.size(), 1u) << row.name;
    EXPECT_NE(scene->warnings[0].find(row.warning), std::string::npos) << scene->warnings[0];
  }
}

TEST(PlyFaces, LoseOnlyWhatTouchesAPlaceThatIsNoNumber) {
  const AssetFolder folder;
  const auto unused = folder.import("a.ply", header(5, faces(2)) + "nan 0 0\n" + kPoints + "3 1 2 3\n3 1 3 4\n");
  ASSERT_TRUE(unused.ok()) << unused.status();
  EXPECT_EQ(unused->meshes[0].positions.size(), 4u);
  EXPECT_EQ(unused->meshes[0].triangles, (Triangles{{0, 1, 2}, {0, 2, 3}}));
  EXPECT_TRUE(unused->warnings.empty());
  const auto used = folder.import("b.ply", header(5, faces(3)) + kPoints + "0 1e300 0\n3 0 1 2\n3 0 2 3\n3 0 1 4\n");
  ASSERT_TRUE(used.ok()) << used.status();
  EXPECT_EQ(used->meshes[0].triangles.size(), 2u);
  EXPECT_EQ(used->warnings.size(), 1u);
}

TEST(PlyFaces, AreCutInsideTheirOutline) {
  const AssetFolder folder;
  const std::string dart = "0 0 0\n4 0 0\n1 1 0\n0 4 0\n";
  const auto scene = folder.import("a.ply", header(4, faces(1)) + dart + "4 1 2 3 0\n");
  ASSERT_TRUE(scene.ok()) << scene.status();
  EXPECT_EQ(scene->meshes[0].triangles, (Triangles{{1, 2, 0}, {2, 3, 0}}));
  const auto before = folder.import("b.ply", "ply\nformat ascii 1.0\n" + faces(1) +
                                                 "element vertex 4\nproperty float x\nproperty float y\n"
                                                 "property float z\nend_header\n4 0 1 2 3\n" +
                                                 kPoints);
  ASSERT_TRUE(before.ok()) << before.status();
  EXPECT_EQ(before->meshes[0].triangles, (Triangles{{0, 1, 2}, {0, 2, 3}}));
}

TEST(PlyHeader, MayEndItsLinesWithCrAlone) {
  const AssetFolder folder;
  std::string head = header(4, faces(1), "binary_little_endian");
  for (char& c : head) c = c == '\n' ? '\r' : c;
  const auto scene = folder.import(
      "a.ply", head + floats({0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 1, 0}) + "\x03" + little(0) + little(1) + little(2));
  ASSERT_TRUE(scene.ok()) << scene.status();
  EXPECT_EQ(scene->meshes[0].triangles, (Triangles{{0, 1, 2}}));
}

TEST(PlyWithoutFaces, SaysWhatItIs) {
  const AssetFolder folder;
  const struct {
    const char* name;
    std::string file;
    const char* message;
  } rows[] = {
      {"points", header(4, "") + kPoints, "EMPTY_MESH: a.ply: no faces, but 4 points"},
      {"splats",
       "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\n"
       "property float f_dc_0\nend_header\n0 0 0 0\n",
       "Gaussian splats"},
      {"edges", header(4, "element edge 1\nproperty int vertex1\nproperty int vertex2\n") + kPoints + "0 1\n",
       "not read: \"edge\""},
  };
  for (const auto& row : rows) {
    const auto scene = folder.import("a.ply", row.file);
    ASSERT_FALSE(scene.ok()) << row.name;
    EXPECT_NE(scene.status().message().find(row.message), absl::string_view::npos) << scene.status();
  }
}

}  // namespace
}  // namespace espalier::mesh
