#include "nano/demo_objects.h"

#include <cmath>
#include <numbers>
#include <utility>

#include "absl/strings/str_cat.h"
#include "archive/zip_writer.h"
#include "common/files.h"
#include "mesh/glb_writer.h"
#include "mesh/normalize.h"
#include "nano/objects.h"
#include "nano/paint.h"
#include "nano/solids.h"
#include "ovoxel/voxel_surface.h"

namespace espalier::nano {
namespace {

using mesh::Mesh;
using mesh::Vec2;
using mesh::Vec3;

constexpr int kMaxObjects = 8;

// Along an axis, `repeats` per unit.
Vec3 along(size_t axis, float repeats) {
  Vec3 direction{};
  direction[axis] = repeats;
  return direction;
}

// Adds a part striped in two paints, along the direction `u` (nano/paint.h).
void add_striped(SceneBuilder& builder, Mesh mesh, const Paint& a, const Paint& b, const Vec3& u) {
  const Paint paints[] = {a, b};
  builder.add(mapped(std::move(mesh), u, {}), builder.add_tiles(paints, 2));
}

void add_checkered(SceneBuilder& builder, Mesh mesh, const Paint& a, const Paint& b, const Vec3& u, const Vec3& v) {
  const Paint paints[] = {a, b, b, a};
  builder.add(mapped(std::move(mesh), u, v), builder.add_tiles(paints, 2));
}

mesh::Scene striped(Mesh mesh, const Paint& a, const Paint& b, const Vec3& u) {
  SceneBuilder builder;
  add_striped(builder, std::move(mesh), a, b, u);
  return builder.take();
}

Result<mesh::Scene> letter_e() {
  const Paint red{{0.85f, 0.1f, 0.1f}, 0, 0.6f}, cream{{0.95f, 0.9f, 0.75f}, 0, 0.6f};
  const Paint blue{{0.1f, 0.25f, 0.75f}, 0, 0.3f}, sky{{0.5f, 0.8f, 0.95f}, 0, 0.3f};
  SceneBuilder builder;
  add_checkered(builder, translated(box({0.18f, 0.24f, 1}), {-0.26f, 0, 0}), red, cream, {2.5f, 2.5f, 0},
                along(2, 2.5f));
  for (const float z : {-0.41f, 0.0f, 0.41f}) {
    const float length = z == 0 ? 0.42f : 0.52f;
    add_striped(builder, translated(box({length, 0.24f, 0.18f}), {-0.17f + length / 2, 0, z}), blue, sky, along(0, 4));
  }
  return builder.take();
}

Result<mesh::Scene> helix() {
  std::vector<Vec3> path;
  constexpr int kSteps = 120;
  for (int i = 0; i <= kSteps; ++i) {
    const float t = static_cast<float>(i) / kSteps, angle = 2 * std::numbers::pi_v<float> * 2.25f * t;
    path.push_back({0.36f * std::cos(angle), 0.36f * std::sin(angle), 0.9f * (t - 0.5f)});
  }
  const Paint gold{{0.95f, 0.75f, 0.2f}, 1, 0.3f}, slate{{0.15f, 0.2f, 0.3f}, 0, 0.9f};
  return striped(tube(path, 0.08f), gold, slate, along(2, 5));
}

Result<mesh::Scene> star_prism() {
  std::vector<Vec2> corners;
  for (int i = 0; i < 10; ++i) {
    const float angle = std::numbers::pi_v<float> * static_cast<float>(i) / 5 + std::numbers::pi_v<float> / 2,
                radius = i % 2 == 0 ? 0.5f : 0.2f;
    corners.push_back({radius * std::cos(angle), radius * std::sin(angle)});
  }
  const Paint yellow{{0.98f, 0.85f, 0.1f}, 0, 0.5f}, purple{{0.5f, 0.1f, 0.6f}, 0, 0.5f};
  return striped(rotated_x(prism(corners, 0.3f), std::numbers::pi_v<float> / 2), yellow, purple, {2.5f, 0, 2.5f});
}

Result<mesh::Scene> gyroid_patch() {
  constexpr int kSide = 48;
  constexpr float kPeriods = 1.25f;
  std::vector<ovoxel::Voxel> voxels;
  for (int x = 0; x < kSide; ++x) {
    for (int y = 0; y < kSide; ++y) {
      for (int z = 0; z < kSide; ++z) {
        const float u = 2 * std::numbers::pi_v<float> * kPeriods * (static_cast<float>(x) + 0.5f) / kSide;
        const float v = 2 * std::numbers::pi_v<float> * kPeriods * (static_cast<float>(y) + 0.5f) / kSide;
        const float w = 2 * std::numbers::pi_v<float> * kPeriods * (static_cast<float>(z) + 0.5f) / kSide;
        const float f = std::sin(u) * std::cos(v) + std::sin(v) * std::cos(w) + std::sin(w) * std::cos(u);
        if (std::abs(f) < 0.45f) voxels.push_back({x, y, z});
      }
    }
  }
  ESP_ASSIGN(Mesh surface, ovoxel::voxel_surface(voxels, kSide));
  const Paint sea{{0.1f, 0.5f, 0.75f}, 0, 0.2f}, copper{{0.9f, 0.5f, 0.3f}, 1, 0.5f};
  SceneBuilder builder;
  add_checkered(builder, std::move(surface), sea, copper, along(0, 2), along(2, 2));
  return builder.take();
}

Result<mesh::Scene> letter_s() {
  std::vector<Vec2> path;
  constexpr int kSteps = 18;
  // Two arcs of 240 degrees that meet in the middle.
  for (int i = 0; i <= kSteps; ++i) {
    const float angle =
        std::numbers::pi_v<float> / 6 + 4 * std::numbers::pi_v<float> / 3 * static_cast<float>(i) / kSteps;
    path.push_back({0.23f * std::cos(angle), 0.21f + 0.21f * std::sin(angle)});
  }
  for (int i = 1; i <= kSteps; ++i) {
    const float angle =
        std::numbers::pi_v<float> / 2 - 4 * std::numbers::pi_v<float> / 3 * static_cast<float>(i) / kSteps;
    path.push_back({0.23f * std::cos(angle), -0.21f + 0.21f * std::sin(angle)});
  }
  const Paint green{{0.15f, 0.65f, 0.25f}, 0, 0.5f}, white{{0.95f, 0.95f, 0.95f}, 0, 0.5f};
  return striped(rotated_x(wall(path, 0.13f, 0.25f), std::numbers::pi_v<float> / 2), green, white, along(2, 4));
}

Result<mesh::Scene> spiral_wall() {
  std::vector<Vec2> path;
  constexpr int kSteps = 90;
  for (int i = 0; i <= kSteps; ++i) {
    const float t = static_cast<float>(i) / kSteps, angle = 2 * std::numbers::pi_v<float> * 1.75f * t,
                radius = 0.1f + 0.38f * t;
    path.push_back({radius * std::cos(angle), radius * std::sin(angle)});
  }
  const Paint violet{{0.6f, 0.3f, 0.7f}, 0, 0.7f}, silver{{0.85f, 0.85f, 0.85f}, 1, 0.3f};
  return striped(wall(path, 0.07f, 0.45f), violet, silver, along(2, 6));
}

Result<mesh::Scene> propeller() {
  SceneBuilder builder;
  const Paint steel[] = {{{0.75f, 0.77f, 0.8f}, 1, 0.25f}};
  const Paint orange[] = {{{0.95f, 0.45f, 0.05f}, 0, 0.5f}, {{0.1f, 0.1f, 0.1f}, 0, 0.9f}};
  builder.add(frustum(0.12f, 0.07f, 0.3f), builder.add_tiles(steel, 1));
  const int32_t striped = builder.add_tiles(orange, 2);
  for (int blade = 0; blade < 3; ++blade) {
    Mesh flat = mapped(translated(box({0.42f, 0.2f, 0.05f}), {0.29f, 0, 0}), along(0, 4), {});
    builder.add(
        rotated_z(rotated_x(std::move(flat), 0.5f), 2 * std::numbers::pi_v<float> * static_cast<float>(blade) / 3),
        striped);
  }
  return builder.take();
}

Result<mesh::Scene> knot() {
  std::vector<Vec3> path;
  constexpr int kSteps = 160;
  for (int i = 0; i <= kSteps; ++i) {
    const float t = 2 * std::numbers::pi_v<float> * static_cast<float>(i) / kSteps;
    path.push_back({0.14f * (std::sin(t) + 2 * std::sin(2 * t)), 0.14f * (std::cos(t) - 2 * std::cos(2 * t)),
                    -0.2f * std::sin(3 * t)});
  }
  const Paint teal{{0.1f, 0.65f, 0.6f}, 0, 0.8f}, pink{{0.95f, 0.4f, 0.6f}, 0, 0.3f};
  SceneBuilder builder;
  add_checkered(builder, tube(path, 0.07f), teal, pink, along(0, 2.5f), along(1, 2.5f));
  return builder.take();
}

struct DemoRecipe {
  std::string_view name;
  Result<mesh::Scene> (*make)();
};

constexpr DemoRecipe kRecipes[kMaxObjects] = {
    {"letter-e", letter_e},   {"helix", helix}, {"star-prism", star_prism}, {"gyroid-patch", gyroid_patch},
    {"propeller", propeller}, {"knot", knot},   {"letter-s", letter_s},     {"spiral", spiral_wall},
};

}  // namespace

Result<std::vector<DemoObject>> demo_objects(int count) {
  if (count < 1 || count > kMaxObjects) {
    return absl::InvalidArgumentError(absl::StrCat("count is ", count, "; allowed: 1 to ", kMaxObjects));
  }
  std::vector<DemoObject> objects;
  for (int i = 0; i < count; ++i) {
    ESP_ASSIGN(mesh::Scene scene, kRecipes[i].make());
    ESP_TRY(mesh::normalize(scene).status());
    objects.push_back({std::string(kRecipes[i].name), std::move(scene)});
  }
  return objects;
}

Status write_demo_assets(const std::filesystem::path& path, int count) {
  ESP_ASSIGN(const std::vector<DemoObject> objects, demo_objects(count));
  archive::ZipWriter zip;
  const bool zipped = path.extension() == ".zip";
  if (!zipped) {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    if (error) return absl::InvalidArgumentError(absl::StrCat("cannot make folder ", path.string()));
  }
  for (const DemoObject& object : objects) {
    ESP_ASSIGN(std::string glb, mesh::write_glb(object.scene));
    if (zipped) {
      ESP_TRY(zip.add_bytes(object.name + ".glb", std::move(glb)));
    } else {
      ESP_TRY(write_file_atomic(path / (object.name + ".glb"), glb));
    }
  }
  return zipped ? zip.finish(path) : absl::OkStatus();
}

}  // namespace espalier::nano
