#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cmath>
#include <cstdlib>

#include "asset_folder.h"
#include "common/files.h"
#include "mesh/glb_writer.h"

namespace espalier::mesh {
namespace {

// Smooth, as lossy formats like it.
image::Image waves(int size, int channels) {
  image::Image out{size, size, channels, std::vector<uint8_t>(static_cast<size_t>(size * size * channels))};
  for (int y = 0; y < size; ++y) {
    for (int x = 0; x < size; ++x) {
      for (int c = 0; c < channels; ++c) {
        out.at(x, y)[c] = static_cast<uint8_t>(128 + 100 * std::sin(0.1 * x + 0.07 * y + c));
      }
    }
  }
  return out;
}

// A square with one material as baking makes them.
Scene textured(AlphaMode alpha) {
  Scene scene;
  scene.images = {waves(64, 4), waves(64, 3)};
  Material m;
  m.metallic = m.roughness = 1;
  m.alpha_mode = alpha;
  const auto texture = [](int image, int channel) {
    Texture out;
    out.image = image;
    out.channel = channel;
    return out;
  };
  m.base_color_texture = texture(0, 0);
  m.alpha_texture = texture(0, 3);
  m.roughness_texture = texture(1, 1);
  m.metallic_texture = texture(1, 2);
  scene.materials = {m};
  Mesh mesh;
  mesh.positions = {{0, 0, 0}, {1, 0, 0}, {1, 1, 0}, {0, 1, 0}};
  mesh.normals.assign(4, {0, 0, 1});
  mesh.uvs = {{0, 1}, {1, 1}, {1, 0}, {0, 0}};
  mesh.triangles = {{0, 1, 2}, {0, 2, 3}};
  mesh.material_ids = {0, 0};
  scene.meshes = {mesh};
  return scene;
}

double difference(const image::Image& a, const image::Image& b, int channels) {
  EXPECT_EQ(a.width, b.width);
  EXPECT_EQ(a.height, b.height);
  double sum = 0;
  for (int y = 0; y < a.height; ++y) {
    for (int x = 0; x < a.width; ++x) {
      for (int c = 0; c < channels; ++c) sum += std::abs(a.at(x, y)[c] - b.at(x, y)[c]);
    }
  }
  return sum / (a.width * a.height * channels);
}

constexpr AlphaMode kModes[] = {AlphaMode::kOpaque, AlphaMode::kMask, AlphaMode::kBlend};
constexpr TextureFormat kFormats[] = {TextureFormat::kPng, TextureFormat::kJpeg, TextureFormat::kWebp};

TEST(GlbTextures, AreReadBackInEveryFormatAndAlphaMode) {
  const AssetFolder folder;
  for (const TextureFormat format : kFormats) {
    for (const AlphaMode alpha : kModes) {
      GlbOptions options;
      options.texture_format = format;
      const Scene scene = textured(alpha);
      const auto bytes = write_glb(scene, options);
      ASSERT_TRUE(bytes.ok()) << bytes.status();
      const auto back = folder.import("a.glb", *bytes);
      ASSERT_TRUE(back.ok()) << back.status();
      EXPECT_TRUE(back->warnings.empty());
      const Material& m = back->materials[0];
      EXPECT_EQ(m.alpha_mode, alpha);
      const image::Image& color = back->images[static_cast<size_t>(m.base_color_texture->image)];
      EXPECT_LE(difference(scene.images[0], color, 3), format == TextureFormat::kPng ? 0 : 4);
      EXPECT_LE(difference(scene.images[1], back->images[static_cast<size_t>(m.roughness_texture->image)], 3),
                format == TextureFormat::kPng ? 0 : 4);
      if (alpha == AlphaMode::kOpaque) continue;
      ASSERT_TRUE(m.alpha_texture.has_value());
      ASSERT_EQ(color.channels, 4);
      for (int i = 0; i < 64; ++i) EXPECT_EQ(color.at(i, 63 - i)[3], scene.images[0].at(i, 63 - i)[3]);
    }
  }
}

TEST(GlbTextures, UseTheNamedFormat) {
  const auto holds = [](TextureFormat format, AlphaMode alpha, const char* text) {
    GlbOptions options;
    options.texture_format = format;
    return write_glb(textured(alpha), options)->find(text) != std::string::npos;
  };
  EXPECT_TRUE(holds(TextureFormat::kPng, AlphaMode::kBlend, "image/png"));
  EXPECT_FALSE(holds(TextureFormat::kPng, AlphaMode::kBlend, "EXT_texture_webp"));
  EXPECT_FALSE(holds(TextureFormat::kJpeg, AlphaMode::kOpaque, "image/png"));
  EXPECT_TRUE(holds(TextureFormat::kJpeg, AlphaMode::kBlend, "image/png"));  // alpha that is seen
  EXPECT_TRUE(holds(TextureFormat::kJpeg, AlphaMode::kBlend, "image/jpeg"));
  EXPECT_TRUE(holds(TextureFormat::kWebp, AlphaMode::kBlend, "\"extensionsRequired\":[\"EXT_texture_webp\"]"));
}

TEST(GlbTextures, GrowWithTheirQuality) {
  for (const TextureFormat format : {TextureFormat::kJpeg, TextureFormat::kWebp}) {
    GlbOptions low, high;
    low.texture_format = high.texture_format = format;
    low.texture_quality = 10;
    high.texture_quality = 95;
    EXPECT_LT(write_glb(textured(AlphaMode::kOpaque), low)->size(),
              write_glb(textured(AlphaMode::kOpaque), high)->size());
    low.texture_quality = 0;
    high.texture_quality = 101;
    EXPECT_EQ(write_glb(textured(AlphaMode::kOpaque), low).status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(write_glb(textured(AlphaMode::kOpaque), high).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

// The exit code of a command, its output as a test message.
int run(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return -1;
  std::string output;
  for (char part[256]; std::fgets(part, sizeof part, pipe) != nullptr;) output += part;
  const int status = pclose(pipe);
  if (!output.empty()) GTEST_LOG_(INFO) << output;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(GlbTextures, PassTheKhronosValidator) {
  if (run("node --version > /dev/null 2>&1") != 0) GTEST_SKIP() << "node is not installed";
  const auto folder = TempDir::create();
  ASSERT_TRUE(folder.ok());
  std::string command = std::string("node ") + ESP_SOURCE_DIR + "/tests/mesh/validate_gltf.js";
  for (const TextureFormat format : kFormats) {
    for (const AlphaMode alpha : kModes) {
      GlbOptions options;
      options.texture_format = format;
      const auto file = folder->path() / (std::to_string(static_cast<int>(format)) + "_" +
                                          std::to_string(static_cast<int>(alpha)) + ".glb");
      ASSERT_TRUE(write_file_atomic(file, *write_glb(textured(alpha), options)).ok());
      command += " " + file.string();
    }
  }
  const int code = run(command + " 2>&1");
  if (code == 77) GTEST_SKIP() << "the package gltf-validator is not installed (NODE_PATH)";
  EXPECT_EQ(code, 0);
}

}  // namespace
}  // namespace espalier::mesh
