#include <gtest/gtest.h>

#include <cmath>

#include "asset_folder.h"
#include "image/codec.h"

namespace espalier::mesh {
namespace {

struct BadTextRow {
  const char* name;
  const char* file;
  std::string bytes;
  const char* code;
};

void expect_refused(const std::vector<BadTextRow>& rows) {
  const AssetFolder folder;
  for (const BadTextRow& row : rows) {
    const auto scene = folder.import(row.file, row.bytes);
    ASSERT_FALSE(scene.ok()) << row.name;
    EXPECT_EQ(import_error_code(scene.status()), row.code) << row.name << ": " << scene.status();
  }
}

std::string png(int channels) {
  return image::encode_png({2, 2, channels, std::vector<uint8_t>(size_t(4) * channels, 100)}).value();
}

TEST(Detection, NeedsContentThatAgreesWithTheExtension) {
  const std::string ply = "ply\nformat ascii 1.0\nend_header\n";
  expect_refused({
      {"unknown extension", "a.dae", "<xml/>", "UNSUPPORTED_FEATURE"},
      {"no extension", "a", "v 0 0 0", "UNSUPPORTED_FEATURE"},
      {"blend", "a.blend", "BLENDER-v293", "UNSUPPORTED_FEATURE"},
      {"glb that is text", "a.glb", "{\"asset\":{}}", "UNREADABLE"},
      {"gltf that is a glb", "a.gltf", glb(triangle_json(), triangle_bytes()), "UNREADABLE"},
      {"stl that is a ply", "a.stl", ply, "UNREADABLE"},
      {"obj that is a ply", "a.obj", ply, "UNREADABLE"},
      {"obj with NUL", "a.obj", std::string("v 0 0 0\n\0\n", 10), "UNREADABLE"},
      {"fbx that is text", "a.fbx", "hello", "UNREADABLE"},
      {"fbx cut after its magic", "a.fbx", std::string("Kaydara FBX Binary  \0\x1a\0\xe8\x1c\0\0", 27), "UNREADABLE"},
      {"empty", "a.ply", "", "UNREADABLE"},
  });
  EXPECT_EQ(import_error_code(import_scene("/nonexistent/a.ply").status()), "UNREADABLE");
}

const char* kSquare = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\n";

TEST(Obj, ReadsPolygonsNegativeIndicesAndTurnsYUp) {
  const AssetFolder folder;
  for (const std::string face : {"f 1 2 3 4\n", "f -4 -3 -2 -1\n", "f 1// 2// 3// 4//\n", "f +1 2 3 4 # comment\n"}) {
    const auto scene = folder.import("a.obj", kSquare + face.substr(0, face.find(" #")) + "\n");
    ASSERT_TRUE(scene.ok()) << scene.status();
    const Mesh& mesh = scene->meshes[0];
    EXPECT_EQ(mesh.positions, (std::vector<Vec3>{{0, 0, 0}, {1, 0, 0}, {1, 0, 1}, {0, 0, 1}})) << face;
    EXPECT_EQ(mesh.triangles, (std::vector<Triangle>{{0, 1, 2}, {0, 2, 3}})) << face;
    EXPECT_TRUE(mesh.normals.empty() && mesh.uvs.empty());
  }
}

TEST(Obj, SplitsVerticesAtSeamsButKeepsTheirPoints) {
  const AssetFolder folder;
  const auto scene = folder.import(
      "a.obj", std::string(kSquare) + "vt 0 0\nvt 1 0.25\nvn 0 1 0\nf 1/1/1 2/2/1 3/1/1\nf 1/2/1 3/1/1 4/1/1\n");
  ASSERT_TRUE(scene.ok()) << scene.status();
  const Mesh& mesh = scene->meshes[0];
  EXPECT_EQ(mesh.positions.size(), 5u);
  EXPECT_EQ(mesh.points, (std::vector<uint32_t>{0, 1, 2, 0, 4}));
  EXPECT_EQ(mesh.uvs[1], (Vec2{1, 0.75f}));     // v grows downwards
  EXPECT_EQ(mesh.normals[0], (Vec3{0, 0, 1}));  // Y up in the file
}

TEST(Obj, MakesOneMeshPerObjectAndReadsVertexColours) {
  const AssetFolder folder;
  const auto scene = folder.import("a.obj",
                                   "o first\nv 0 0 0 1 0 0\nv 1 0 0 1 1 1\nv 0 1 0 0.5 0.5 0.5\nf 1 2 3\n"
                                   "o second\nv 0 0 1\nf 1 2 4\n");
  ASSERT_TRUE(scene.ok()) << scene.status();
  ASSERT_EQ(scene->meshes.size(), 2u);
  EXPECT_EQ(scene->meshes[1].name, "second");
  EXPECT_EQ(scene->meshes[0].colors[0], (Vec4{1, 0, 0, 1}));
  EXPECT_NEAR(scene->meshes[0].colors[2][0], 0.214, 1e-3);  // stored as sRGB
}

TEST(Obj, ConvertsMaterialsAsBlenderDoes) {
  struct Row {
    const char* lines;
    float roughness, metallic, alpha;
  };
  const std::vector<Row> rows = {
      {"Kd 1 0 0", 1, 0, 1},
      {"Ns 100\nillum 1", 0.6838f, 0, 1},
      {"Ns 100\nillum 2", 0.6838f, 0, 1},
      {"Ns 250\nillum 3\nKa 0.4 0.4 0.4\nd 0.5", 0.5f, 0.4f, 0.5f},
      {"Pr 0.3\nPm 0.7\nd 0.25\naniso 0.5\nanisor 0\nmap_unknown -x y", 0.3f, 0.7f, 0.25f},
      {"Tr 0.25\nNs 900\nillum 4", 0.0513f, 1, 1},
      {"illum 2", 0, 0, 1},
  };
  for (const Row& row : rows) {
    const AssetFolder folder;
    folder.write("my lib.mtl", "newmtl first\nKd 0 0 0\nnewmtl a b\n" + std::string(row.lines) + "\n");
    const auto scene = folder.import("a.obj", "mtllib my lib.mtl\nusemtl a b\n" + std::string(kSquare) + "f 1 2 3\n");
    ASSERT_TRUE(scene.ok()) << scene.status();
    const Material& m = scene->materials[static_cast<size_t>(scene->meshes[0].material_ids[0])];
    EXPECT_NEAR(m.roughness, row.roughness, 1e-4) << row.lines;
    EXPECT_NEAR(m.metallic, row.metallic, 1e-4) << row.lines;
    EXPECT_NEAR(m.alpha, row.alpha, 1e-4) << row.lines;
    EXPECT_EQ(m.alpha_mode, row.alpha < 1 ? AlphaMode::kBlend : AlphaMode::kOpaque) << row.lines;
  }
}

TEST(Obj, FindsTexturesByNameWhereverTheAuthorHadThem) {
  for (const std::string line : {"map_Kd tex/a.png", "map_Kd C:\\Users\\me\\A.PNG", "map_Kd /home/me/a.png",
                                 "map_Kd -clamp on -s 2 2 tex\\a.png", "map_Kd ../../../a.png"}) {
    const AssetFolder folder;
    folder.write("tex/a.png", png(3));
    folder.write("a.mtl", "newmtl m\n" + line + "\nmap_d a.png\nmap_Pr a.png\nmap_Pm a.png\n");
    const auto scene = folder.import("a.obj", "mtllib a.mtl\nusemtl m\n" + std::string(kSquare) + "f 1 2 3\n");
    ASSERT_TRUE(scene.ok()) << scene.status();
    ASSERT_TRUE(scene->materials[0].base_color_texture) << line;
    EXPECT_TRUE(scene->materials[0].alpha_texture && scene->materials[0].roughness_texture) << line;
    EXPECT_EQ(scene->materials[0].base_color_texture->wrap_u,
              line.find("clamp") == std::string::npos ? Wrap::kRepeat : Wrap::kClamp);
  }
}

TEST(Obj, NeverLooksOutsideTheRoot) {
  const AssetFolder outside;
  outside.write("secret.png", png(3));
  outside.write("secret.mtl", "newmtl secret\n");
  const AssetFolder folder;
  folder.write("a.mtl", "newmtl m\nmap_Kd " + (outside.path() / "secret.png").string() + "\n");
  const auto scene = folder.import("a.obj", "mtllib " + (outside.path() / "secret.mtl").string() + "\nmtllib a.mtl\n" +
                                                std::string(kSquare) + "f 1 2 3\n");
  ASSERT_TRUE(scene.ok()) << scene.status();
  EXPECT_TRUE(scene->images.empty());
  EXPECT_EQ(scene->materials.size(), 1u);
  EXPECT_EQ(scene->warnings.size(), 2u);
}

TEST(Obj, RefusesBrokenFiles) {
  const std::string square = kSquare;
  expect_refused({
      {"index zero", "a.obj", square + "f 0 1 2\n", "UNREADABLE"},
      {"index too large", "a.obj", square + "f 1 2 5\n", "UNREADABLE"},
      {"index too negative", "a.obj", square + "f 1 2 -5\n", "UNREADABLE"},
      {"index overflow", "a.obj", square + "f 1 2 99999999999999999999\n", "UNREADABLE"},
      {"missing uv", "a.obj", square + "vt 0 0\nf 1/2 2/2 3/2\n", "UNREADABLE"},
      {"most faces broken", "a.obj", square + "f 1 2 3\nf 1 2\nf 0 1 2\n", "UNREADABLE"},
      {"two corners", "a.obj", square + "f 1 2\n", "UNREADABLE"},
      {"not a number", "a.obj", "v 1 2 x\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "NONFINITE_GEOMETRY"},
      {"no faces", "a.obj", square, "EMPTY_MESH"},
      {"nan", "a.obj", "v nan 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "NONFINITE_GEOMETRY"},
      {"overflow", "a.obj", "v 1e999 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "NONFINITE_GEOMETRY"},
  });
}

TEST(Obj, StopsAtTheFaceLimit) {
  const AssetFolder folder;
  ImportOptions options;
  options.limits.max_faces = 2;
  EXPECT_TRUE(folder.import("a.obj", std::string(kSquare) + "f 1 2 3 4\n", options).ok());
  EXPECT_EQ(import_error_code(folder.import("a.obj", std::string(kSquare) + "f 1 2 3 4\nf 1 2 3\n", options).status()),
            "TOO_MANY_FACES");
}

std::string ply_header(const std::string& format, int vertices, int faces, const std::string& more = "") {
  return "ply\nformat " + format + " 1.0\ncomment made here\nelement vertex " + std::to_string(vertices) +
         "\nproperty float x\nproperty float y\nproperty float z\n" + more + "element face " + std::to_string(faces) +
         "\nproperty list uchar int vertex_indices\nend_header\n";
}

std::string reversed4(std::string bytes) {
  for (size_t i = 0; i + 3 < bytes.size(); i += 4) std::reverse(bytes.begin() + i, bytes.begin() + i + 4);
  return bytes;
}

TEST(Ply, ReadsAllThreeEncodingsAsZUp) {
  const AssetFolder folder;
  const std::string points = floats({0, 0, 0, 1, 0, 0, 0, 2, 3});
  const std::string ids = little(0) + little(1) + little(2);
  const std::vector<std::string> files = {
      ply_header("ascii", 3, 1) + "0 0 0\n1 0 0\n0 2 3\n3 0 1 2\n",
      ply_header("binary_little_endian", 3, 1) + points + "\x03" + ids,
      ply_header("binary_big_endian", 3, 1) + reversed4(points) + "\x03" + reversed4(ids),
  };
  for (const std::string& file : files) {
    const auto scene = folder.import("a.ply", file);
    ASSERT_TRUE(scene.ok()) << scene.status();
    EXPECT_EQ(scene->meshes[0].positions, (std::vector<Vec3>{{0, 0, 0}, {1, 0, 0}, {0, 2, 3}}));
    EXPECT_EQ(scene->meshes[0].triangles, (std::vector<Triangle>{{0, 1, 2}}));
    EXPECT_EQ(scene->meshes[0].material_ids[0], -1);
  }
}

TEST(Ply, ReadsColoursUvsAndQuadsAndSkipsTheRest) {
  const AssetFolder folder;
  const std::string header =
      ply_header("ascii", 4, 1,
                 "property float s\nproperty float t\nproperty uchar red\nproperty uchar green\nproperty uchar blue\n"
                 "property list uchar float extra\n");
  const auto scene = folder.import("a.ply", header +
                                                "0 0 0 0 0 255 0 128 0\n1 0 0 1 0.25 0 0 0 2 5 6\n"
                                                "1 1 0 0 0 0 0 0 0\n0 1 0 0 0 0 0 0 0\n4 0 1 2 3\n");
  ASSERT_TRUE(scene.ok()) << scene.status();
  const Mesh& mesh = scene->meshes[0];
  EXPECT_EQ(mesh.triangles.size(), 2u);
  EXPECT_EQ(mesh.uvs[1], (Vec2{1, 0.75f}));
  EXPECT_EQ(mesh.colors[0][0], 1);
  EXPECT_NEAR(mesh.colors[0][2], 0.2158, 1e-3);
  ASSERT_EQ(mesh.material_ids[0], 0);  // white, so that the colours show
  EXPECT_EQ(scene->materials[0].base_color, (Vec3{1, 1, 1}));
}

TEST(Ply, RefusesBrokenFiles) {
  const std::string ascii = ply_header("ascii", 3, 1);
  const std::string points = "0 0 0\n1 0 0\n0 1 0\n";
  expect_refused({
      {"no end of header", "a.ply", "ply\nformat ascii 1.0\n", "UNREADABLE"},
      {"unknown format", "a.ply", "ply\nformat weird 1.0\nend_header\n", "UNREADABLE"},
      {"huge vertex count", "a.ply", ply_header("binary_little_endian", 2000000000, 0), "UNREADABLE"},
      {"huge face count", "a.ply", ply_header("ascii", 3, 2000000000) + points, "UNREADABLE"},
      {"negative count", "a.ply", ply_header("ascii", -3, 0), "UNREADABLE"},
      {"index out of range", "a.ply", ascii + points + "3 0 1 3\n", "UNREADABLE"},
      {"negative index", "a.ply", ascii + points + "3 0 1 -1\n", "UNREADABLE"},
      {"negative list", "a.ply", ascii + points + "-3 0 1 2\n", "UNREADABLE"},
      {"truncated", "a.ply", ascii + points + "3 0 1", "UNREADABLE"},
      {"float list count", "a.ply", "ply\nformat ascii 1.0\nelement face 1\nproperty list float int a\nend_header\n",
       "UNREADABLE"},
      {"property first", "a.ply", "ply\nformat ascii 1.0\nproperty float x\nend_header\n", "UNREADABLE"},
      {"no xyz", "a.ply", "ply\nformat ascii 1.0\nelement vertex 1\nproperty float a\nend_header\n1\n", "UNREADABLE"},
      {"point cloud", "a.ply", ply_header("ascii", 3, 0) + points, "EMPTY_MESH"},
      {"most faces broken", "a.ply", ply_header("ascii", 3, 3) + points + "3 0 1 2\n2 0 1\n3 0 1 3\n", "UNREADABLE"},
      {"nan", "a.ply", ascii + "nan 0 0\n1 0 0\n0 1 0\n3 0 1 2\n", "NONFINITE_GEOMETRY"},
  });
}

TEST(Ply, RefusesEveryTruncationOfABinaryFile) {
  const AssetFolder folder;
  const std::string whole = ply_header("binary_little_endian", 3, 1) + floats({0, 0, 0, 1, 0, 0, 0, 2, 3}) + "\x03" +
                            little(0) + little(1) + little(2);
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(folder.import("a.ply", whole.substr(0, size)).ok()) << size;
  }
}

std::string stl_facet(const std::vector<float>& corners) {
  return floats({0, 0, 1}) + floats(corners) + std::string(2, '\0');
}

TEST(Stl, WeldsPositionsAndDropsDegenerateAndRepeatedFaces) {
  const AssetFolder folder;
  const std::string a = stl_facet({0, 0, 0, 1, 0, 0, 1, 1, 0}), b = stl_facet({0, 0, 0, 1, 1, 0, 0, 1, 0});
  const std::string degenerate = stl_facet({0, 0, 0, 0, 0, 0, 1, 1, 0});
  const auto scene = folder.import("a.stl", std::string(80, ' ') + little(4) + a + b + degenerate + a);
  ASSERT_TRUE(scene.ok()) << scene.status();
  EXPECT_EQ(scene->meshes[0].positions, (std::vector<Vec3>{{0, 0, 0}, {1, 0, 0}, {1, 1, 0}, {0, 1, 0}}));
  EXPECT_EQ(scene->meshes[0].triangles, (std::vector<Triangle>{{0, 1, 2}, {0, 2, 3}}));
}

TEST(Stl, ReadsText) {
  const AssetFolder folder;
  const auto scene = folder.import("a.stl",
                                   "solid x\nfacet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1e0 0 0\n"
                                   "vertex 0 +1 0\nendloop\nendfacet\nendsolid x\n");
  ASSERT_TRUE(scene.ok()) << scene.status();
  EXPECT_EQ(scene->meshes[0].positions[2], (Vec3{0, 1, 0}));
}

TEST(Stl, RefusesBrokenFiles) {
  const std::string facet = stl_facet({0, 0, 0, 1, 0, 0, 1, 1, 0});
  expect_refused({
      {"count larger than the file", "a.stl", std::string(80, ' ') + little(4000000000u) + facet, "UNREADABLE"},
      {"truncated", "a.stl", std::string(80, ' ') + little(2) + facet, "UNREADABLE"},
      {"text without end", "a.stl", "solid x\nvertex 0 0 0\nvertex 1 0 0\nvertex 0 1 0\n", "UNREADABLE"},
      {"two corners", "a.stl", "solid x\nvertex 0 0 0\nvertex 1 0 0\nendsolid\n", "UNREADABLE"},
      {"word for number", "a.stl", "solid x\nvertex 0 zero 0\nendsolid\n", "UNREADABLE"},
      {"no facets", "a.stl", "solid x\nendsolid\n", "EMPTY_MESH"},
      {"nan", "a.stl", std::string(80, ' ') + little(1) + stl_facet({0, 0, 0, 1, NAN, 0, 1, 1, 0}),
       "NONFINITE_GEOMETRY"},
  });
}

}  // namespace
}  // namespace espalier::mesh
