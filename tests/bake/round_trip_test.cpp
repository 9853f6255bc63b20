#include <gtest/gtest.h>

#include <numbers>
#include <random>

#include "bake/volume_sampler.h"
#include "common/files.h"
#include "mesh/glb_writer.h"
#include "mesh/import.h"
#include "mesh/normalize.h"
#include "ovoxel/dual_grid.h"
#include "ovoxel/dual_mesh.h"
#include "ovoxel/pbr_voxels.h"
#include "render/scene_view.h"
#include "tests/bake/volumes.h"
#include "tests/render/picture_metrics.h"

// A scene to voxels and, by way of a file, back to a textured mesh.
namespace espalier::bake {
namespace {

mesh::Texture texture(int image, int channel = 0) {
  mesh::Texture out;
  out.image = image;
  out.channel = channel;
  out.wrap_u = out.wrap_v = mesh::Wrap::kClamp;
  return out;
}

image::Image drawn(int size, int channels, const std::function<std::array<double, 4>(double, double)>& color) {
  image::Image out{size, size, channels, {}};
  for (int y = 0; y < size; ++y) {
    for (int x = 0; x < size; ++x) {
      const auto c = color((x + 0.5) / size, (y + 0.5) / size);
      for (int k = 0; k < channels; ++k) out.pixels.push_back(static_cast<uint8_t>(255 * c[static_cast<size_t>(k)]));
    }
  }
  return out;
}

// Each side of a box with its own part of a colourful picture.
mesh::Scene textured_box() {
  mesh::Scene scene;
  scene.images = {drawn(256, 3, [](double u, double v) {
    return std::array{0.5 + 0.4 * std::sin(9 * u), 0.5 + 0.4 * std::cos(8 * v), 0.5 + 0.4 * std::sin(7 * (u + v)), 1.0};
  })};
  mesh::Material m;
  m.roughness = 0.8f;
  m.base_color_texture = texture(0);
  scene.materials = {m};
  mesh::Mesh box;
  for (int side = 0; side < 6; ++side) {
    const auto axis = static_cast<size_t>(side / 2), right = (axis + 1) % 3, up = (axis + 2) % 3;
    const float at = side % 2 ? 0.35f : -0.35f, extent[] = {0.35f, 0.3f, 0.25f};
    const auto first = static_cast<uint32_t>(box.positions.size());
    for (int corner = 0; corner < 4; ++corner) {
      const int u = corner == 1 || corner == 2, v = corner >= 2;
      mesh::Vec3 p;
      p[axis] = at / 0.35f * extent[axis];
      p[right] = (u ? 1.f : -1.f) * extent[right];
      p[up] = (v ? 1.f : -1.f) * extent[up];
      box.positions.push_back(p);
      box.uvs.push_back({(static_cast<float>(side % 3) + static_cast<float>(u)) / 3,
                         (static_cast<float>(side / 3) + static_cast<float>(v)) / 2});
    }
    box.triangles.push_back({first, first + 1, first + 2});
    box.triangles.push_back({first, first + 2, first + 3});
  }
  box.material_ids.assign(12, 0);
  scene.meshes = {box};
  return scene;
}

// Three by three balls, rougher to the right and more metallic to the top.
mesh::Scene ball_grid() {
  mesh::Scene scene;
  // A texture: constant colours are stored as they are, not as textures are (see pbr_voxels).
  scene.images = {drawn(4, 3, [](double, double) { return std::array{0.9, 0.6, 0.3, 1.0}; })};
  for (int row = 0; row < 3; ++row) {
    for (int column = 0; column < 3; ++column) {
      mesh::Material m;
      m.base_color_texture = texture(0);
      m.metallic = static_cast<float>(row) / 2;
      m.roughness = 0.2f + 0.3f * static_cast<float>(column);
      const auto ball = ovoxel::moved(ovoxel::sphere(0.13f, 16, 32),
                                      {0.3f * static_cast<float>(column - 1), 0, 0.3f * static_cast<float>(row - 1)});
      mesh::Mesh part;
      part.positions = ball.positions;
      part.triangles = ball.triangles;
      part.uvs.assign(ball.positions.size(), {0.5f, 0.5f});
      part.normals = mesh::vertex_normals(surface_of(ball));
      part.material_ids.assign(ball.triangles.size(), static_cast<int>(scene.materials.size()));
      scene.materials.push_back(m);
      scene.meshes.push_back(part);
    }
  }
  return scene;
}

// A square of which only a disk is there.
mesh::Scene leaf_card() {
  mesh::Scene scene;
  scene.images = {drawn(256, 4, [](double u, double v) {
    const bool inside = std::hypot(u - 0.5, v - 0.5) < 0.4;
    return std::array{0.2 + 0.6 * u, 0.7, 0.2 + 0.3 * v, inside ? 1.0 : 0.0};
  })};
  mesh::Material m;
  m.roughness = 0.9f;
  m.base_color_texture = texture(0);
  m.alpha_texture = texture(0, 3);
  m.alpha_mode = mesh::AlphaMode::kMask;
  scene.materials = {m};
  mesh::Mesh card;
  card.positions = {{-0.45f, 0.003f, -0.45f}, {0.45f, 0.003f, -0.45f}, {0.45f, 0.003f, 0.45f}, {-0.45f, 0.003f, 0.45f}};
  card.uvs = {{0, 1}, {1, 1}, {1, 0}, {0, 0}};
  card.triangles = {{0, 1, 2}, {0, 2, 3}};
  card.material_ids = {0, 0};
  scene.meshes = {card};
  return scene;
}

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

image::Image picture(const mesh::Scene& scene) {
  render::Lighting light;
  light.lights = {{{2, -4, 4}, 1.5f, 900}};
  light.environment = 0.6f;
  const render::Camera camera{-1.2, 0.3, 2.4, 0.8};
  render::ViewOptions options;
  options.size = 96;
  options.samples = 32;
  options.threads = 2;
  options.mask_as_blend = false;
  return *render::SceneTracer::make(scene)->render(camera, light, options);
}

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
