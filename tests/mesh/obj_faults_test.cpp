#include <gtest/gtest.h>

#include <cmath>

#include "asset_folder.h"
#include "image/codec.h"

// Wavefront files that break a rule of the format and that Blender reads all the same.
namespace espalier::mesh {
namespace {

const std::string kSquare = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\n";
const std::string kFaces = "f 1 2 3\nf 1 3 4\n";

std::string with_line_ends(std::string text, const std::string& end) {
  std::string out;
  for (const char c : text) out += c == '\n' ? end : std::string(1, c);
  return out;
}

double area_of(const Scene& scene) {
  double sum = 0;
  for (const Mesh& mesh : scene.meshes) {
    for (const Triangle& t : mesh.triangles) {
      const Vec3 &a = mesh.positions[t[0]], &b = mesh.positions[t[1]], &c = mesh.positions[t[2]];
      sum += std::abs((b[0] - a[0]) * (c[2] - a[2]) - (b[2] - a[2]) * (c[0] - a[0])) / 2;  // faces look along y
    }
  }
  return sum;
}

struct ObjRow {
  const char* name;
  std::string text;
  size_t triangles;
  double area;
  const char* warning;  // part of the only one; empty: none
};

void expect_read(const std::vector<ObjRow>& rows) {
  const AssetFolder folder;
  for (const ObjRow& row : rows) {
    const auto scene = folder.import("a.obj", row.text);
    ASSERT_TRUE(scene.ok()) << row.name << ": " << scene.status();
    EXPECT_EQ(face_count(*scene), row.triangles) << row.name;
    EXPECT_NEAR(area_of(*scene), row.area, 1e-4) << row.name;
    ASSERT_EQ(scene->warnings.size(), row.warning[0] != '\0') << row.name;
    if (row.warning[0] != '\0') {
      EXPECT_NE(scene->warnings[0].find(row.warning), std::string::npos) << row.name << ": " << scene->warnings[0];
    }
  }
}

TEST(ObjLines, AreJoinedByABackslashAtTheirEnd) {
  const std::string face = "f 1 2 \\\n3 4\n";
  expect_read({
      {"LF", kSquare + face, 2, 1, ""},
      {"CRLF", with_line_ends(kSquare + face, "\r\n"), 2, 1, ""},
      {"CR", with_line_ends(kSquare + face, "\r"), 2, 1, ""},
      {"blanks behind it", kSquare + "f 1 2 \\ \t \n3 4\n", 2, 1, ""},
      {"three lines", kSquare + "f 1 \\\n2 \\\n3 4", 2, 1, ""},
      {"right behind a number", kSquare + "f 1 2\\\n3 4\n", 2, 1, ""},
      {"vertex", "v 0 0\\\n 0\nv 1 \\\n0 0\nv 1 1 0\nv 0 1 0\n" + kFaces, 2, 1, ""},
      {"end of the file", kSquare + kFaces + "usemtl \\", 2, 1, "is not defined"},
      {"after a comment", "# C:\\models\\\n" + kSquare + kFaces, 2, 1, ""},
      {"inside a line", kSquare + kFaces + "g a\\b\n", 2, 1, ""},
  });
}

TEST(ObjLines, EndInAnyWay) {
  expect_read({
      {"CRLF", with_line_ends(kSquare + kFaces, "\r\n"), 2, 1, ""},
      {"CR", with_line_ends(kSquare + kFaces, "\r"), 2, 1, ""},
      {"no end", kSquare + "f 1 2 3 4", 2, 1, ""},
      {"byte order mark", "\xEF\xBB\xBF" + kSquare + kFaces, 2, 1, ""},
      {"tabs", "v\t0 0\t0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf\t1\t2\t3 4\t\n", 2, 1, ""},
      {"long comment", "# " + std::string(100'000, 'x') + "\n" + kSquare + kFaces, 2, 1, ""},
  });
}

TEST(ObjFaces, AreLeftOutWhereTheyAreBroken) {
  const std::string good = kSquare + kFaces;
  expect_read({
      {"index too large", good + "f 1 2 9\n", 2, 1, "1 of 3 faces cannot be used, the first: line 7: face index 9"},
      {"index zero", good + "f 0 1 2\n", 2, 1, "face index 0 is outside 1..4"},
      {"index too negative", good + "f 1 2 -9\n", 2, 1, "face index -9"},
      {"index of 65 bits", good + "f 1 2 99999999999999999999\n", 2, 1, "not a number"},
      {"index that wraps to 3", good + "f 1 2 4294967299\n", 2, 1, "face index 4294967299"},
      {"word", good + "f a b c\n", 2, 1, "not a number"},
      {"two corners", good + "f 1 2\n", 2, 1, "three corners"},
      {"no corners", good + "f\n", 2, 1, "three corners"},
      {"missing uv", good + "vt 0 0\nf 1/2 2/2 3/2\n", 2, 1, "face index 2 is outside 1..1"},
      {"missing normal", good + "vn 0 0 1\nf 1//1 2//1 3//2\n", 2, 1, "line 8: face index 2"},
      {"vertex that comes later", "f 1 2 3\n" + good, 2, 1, "face index 1 is outside 1..0"},
      {"vertex that is no number", good + "v 5 x 5\nf 1 2 5\n", 2, 1, "not a number within 1e9"},
      {"two of them", good + "f 1 2\nf 7 8 9\n", 2, 1, "2 of 4 faces cannot be used, the first: line 7"},
  });
}

TEST(ObjFaces, AreReadWhereOnlyTheirFormIsOdd) {
  const std::string dart = "v 0 0 0\nv 4 0 0\nv 1 1 0\nv 0 4 0\n";
  std::string circle;
  for (int i = 0; i < 2000; ++i) {
    circle +=
        "v " + std::to_string(std::cos(i * M_PI / 1000)) + " " + std::to_string(std::sin(i * M_PI / 1000)) + " 0\n";
  }
  circle += "f";
  for (int i = 1; i <= 2000; ++i) circle += " " + std::to_string(i);
  expect_read({
      {"comment behind", kSquare + "f 1 2 3 4 # a square\n", 2, 1, ""},
      {"indices of uvs that nobody has", kSquare + "f 1/1 2/2 3/3 4/4\n", 2, 1, ""},
      {"indices of normals that nobody has", kSquare + "vt 0 0\nf 1/1/1 2/1/1 3/1/1 4/1/1\n", 2, 1, ""},
      {"both missing", kSquare + "f 1/7/7 2/8/8 3/9/9 4/9/9\n", 2, 1, ""},
      {"slashes behind", kSquare + "vt 0 0\nf 1/1/ 2/1/ 3/1/ 4/1/\n", 2, 1, ""},
      {"free-form parts", kSquare + kFaces + "vp 0.1\ncstype bezier\ndeg 3\ncurv 0 1 1 2 3 4\nend\np 1\nl 1 2\n", 2, 1,
       ""},
      {"concave quad", dart + "f 2 3 4 1\n", 2, 4, ""},
      {"concave quad, clockwise", dart + "f 1 4 3 2\n", 2, 4, ""},
      {"hole joined by an edge",
       "v 0 0 0\nv 4 0 0\nv 4 4 0\nv 0 4 0\nv 1 1 0\nv 1 3 0\nv 3 3 0\nv 3 1 0\nf 1 2 3 4 1 5 6 7 8 5\n", 8, 12, ""},
      {"many corners", circle, 1998, 1000 * std::sin(M_PI / 1000), ""},
  });
}

TEST(ObjNumbers, ThatAreNoneCostOnlyTheFacesTheyTouch) {
  const std::string square = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf 2 3 4\nf 2 4 5\n";
  for (const std::string bad : {"1.#QNAN", "-1.#IND", "nan", "inf", "1e400", "1e10", "0,5", "x", "--1"}) {
    expect_read({
        {bad.c_str(), "v " + bad + " 0 0\n" + square, 2, 1, ""},
        {bad.c_str(), "v 0 0 " + bad + "\n" + square + "f 1 2 3\n", 2, 1, "1 of 3 faces"},
    });
    const AssetFolder folder;
    const auto uvs =
        folder.import("a.obj", kSquare + "vt " + bad.substr(0, 7) + " 1\nvn 0 0 " + bad + "\nf 1/1/1 2/1/1 3/1/1\n");
    ASSERT_TRUE(uvs.ok()) << bad << ": " << uvs.status();
    EXPECT_TRUE(std::isfinite(uvs->meshes[0].uvs[0][0])) << bad;
    EXPECT_TRUE(std::isfinite(uvs->meshes[0].normals[0][2])) << bad;
  }
  expect_read({{"missing ones are 0", "v 0\nv 1\nv 1 1\nv 0 1\n" + kFaces, 2, 1, ""},
               {"tiny", "v 0 1e-400 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\n" + kFaces, 2, 1, ""}});
}

// Where the red material is found.
struct Library {
  const char* name;
  const char* file;  // beside a.obj
  std::string text;  // of the OBJ
  size_t warnings;
};

TEST(ObjLibraries, AreFoundAsBlenderFindsThem) {
  const std::string faces = kSquare + "usemtl red\n" + kFaces;
  std::string many;
  for (int i = 0; i < 100; ++i) many += "mtllib l.mtl\n";
  const std::vector<Library> rows = {
      {"named", "l.mtl", "mtllib l.mtl\n" + faces, 0},
      {"after its use", "l.mtl", faces + "mtllib l.mtl\n", 0},
      {"with spaces", "my lib.mtl", "mtllib my lib.mtl \n" + faces, 0},
      {"in quotes", "my lib.mtl", "mtllib \"my lib.mtl\"\n" + faces, 0},
      {"second of two", "l.mtl", "mtllib none.mtl l.mtl\n" + faces, 1},
      {"on a line of its own", "l.mtl", "mtllib \\\nl.mtl\n" + faces, 0},
      {"elsewhere", "sub/L.MTL", "mtllib C:\\x\\l.mtl\n" + faces, 0},
      {"a hundred times", "l.mtl", many + faces, 0},
      {"called as the file", "a.mtl", faces, 0},
      {"called as the file, another one named", "a.mtl", "mtllib none.mtl\n" + faces, 1},
  };
  for (const Library& row : rows) {
    const AssetFolder folder;
    folder.write(row.file, "newmtl red\nKd 1 0 0\n");
    const auto scene = folder.import("a.obj", row.text);
    ASSERT_TRUE(scene.ok()) << row.name << ": " << scene.status();
    ASSERT_EQ(scene->materials.size(), 1u) << row.name;
    EXPECT_EQ(scene->meshes[0].material_ids, (std::vector<int32_t>{0, 0})) << row.name;
    EXPECT_EQ(scene->warnings.size(), row.warnings) << row.name;
  }
}

TEST(ObjLibraries, MayBeMissingOrTooMany) {
  const AssetFolder folder;
  std::string many = kSquare + "usemtl red\n" + kFaces;
  for (int i = 0; i < 100; ++i) many += "mtllib l" + std::to_string(i) + ".mtl\n";
  const auto scene = folder.import("a.obj", many);
  ASSERT_TRUE(scene.ok()) << scene.status();
  EXPECT_EQ(scene->meshes[0].material_ids, (std::vector<int32_t>{-1, -1}));
  EXPECT_GE(scene->warnings.size(), 3u);
}

TEST(ObjLibraries, ReadOddLines) {
  const std::string png = image::encode_png({2, 2, 3, std::vector<uint8_t>(12, 100)}).value();
  const struct {
    const char* lines;
    bool texture;
    Vec3 color;
  } rows[] = {
      {"map_Kd my tex.png", true, {1, 1, 1}},
      {"map_Kd \"my tex.png\"", true, {1, 1, 1}},
      {"map_Kd  \tmy tex.png \t", true, {1, 1, 1}},
      {"map_Kd -s 2 2 -o 0.5 -bm 1.5 -mm 0 1 -clamp on -imfchan r -blendu off -boost 2 -texres 512 my tex.png",
       true,
       {1, 1, 1}},
      {"map_Kd -o 1 2 3 \"my tex.png\"", true, {1, 1, 1}},
      {"map_Kd \\\nmy tex.png", true, {1, 1, 1}},
      {"map_Kd -s 1 \\\r\n1 1 \\\r\nmy tex.png", true, {1, 1, 1}},
      {"map_Kd", false, {0.5f, 0.5f, 0.5f}},
      {"map_Kd none.png", false, {0.5f, 0.5f, 0.5f}},
      {"map_Kd -s 1 1 1", false, {0.5f, 0.5f, 0.5f}},
      {"Kd 0.25", false, {0.25f, 0.25f, 0.25f}},
      {"Kd 0.25 \\\n0.5 0.75", false, {0.25f, 0.5f, 0.75f}},
      {"Kd 1e400 0 0", false, {0.5f, 0.5f, 0.5f}},
      {"Kd 1.#QNAN 0 0", false, {0.5f, 0.5f, 0.5f}},
      {"Kd spectral a.rfl", false, {0.5f, 0.5f, 0.5f}},
      {"Ns 1e400\nd nan\nPr 1.#INF\nPm x\nillum 1e9", false, {0.5f, 0.5f, 0.5f}},
  };
  for (const auto& row : rows) {
    const AssetFolder folder;
    folder.write("my tex.png", png);
    folder.write("a.mtl", std::string("\xEF\xBB\xBFnewmtl m\r\nKd 0.5 0.5 0.5\r\n") + row.lines);
    const auto scene = folder.import("a.obj", "mtllib a.mtl\nusemtl m\n" + kSquare + kFaces);
    ASSERT_TRUE(scene.ok()) << row.lines << ": " << scene.status();
    ASSERT_EQ(scene->materials.size(), 1u) << row.lines;
    EXPECT_EQ(scene->materials[0].base_color_texture.has_value(), row.texture) << row.lines;
    EXPECT_EQ(scene->materials[0].base_color, row.color) << row.lines;
    EXPECT_EQ(scene->materials[0].alpha, 1) << row.lines;
  }
}

TEST(ObjObjects, AreReadInTimeThatGrowsWithTheFile) {
  // The first object is large; each of the others must cost only its own size.
  std::string text = kSquare;
  for (int i = 0; i < 50'000; ++i) text += "v " + std::to_string(i) + " 0 1\n";
  for (int i = 5; i + 2 < 50'000; ++i) {
    for (int k = 0; k < 3; ++k) text += (k ? " " : "f ") + std::to_string(i + k);
    text += "\n";
  }
  for (int i = 0; i < 20'000; ++i) text += "o part\nf 1 2 3\n";
  const AssetFolder folder;
  const auto scene = folder.import("a.obj", text);
  ASSERT_TRUE(scene.ok()) << scene.status();
  EXPECT_EQ(scene->meshes.size(), 20'001u);
}

}  // namespace
}  // namespace espalier::mesh
