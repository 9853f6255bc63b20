#include "nano/objects.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <vector>

#include "common/philox.h"
#include "mesh/normalize.h"
#include "nano/solids.h"

namespace espalier::nano {
namespace {

using mesh::Mesh;
using mesh::Vec2;
using mesh::Vec3;

constexpr float kCentred = 1e-3f;  // share of the object's size below which a centre counts as 0

// Random draws and the scene under construction, in the units of the family (any size, Z up).
class Maker {
 public:
  Maker(uint64_t seed, uint32_t index) : random_(seed, index) {}

  float in(double low, double high) { return static_cast<float>(random_.uniform(low, high)); }
  int count(int low, int high) { return low + static_cast<int>(random_.below(static_cast<uint32_t>(high - low + 1))); }
  bool chance(double probability) { return random_.uniform() < probability; }
  int32_t paint();
  void add(Mesh mesh, int32_t material) { scene_.add(std::move(mesh), material); }
  void add_box(const Vec3& size, const Vec3& at, int32_t material) { add(translated(box(size), at), material); }
  mesh::Scene take() { return scene_.take(); }

 private:
  PhiloxStream random_;
  SceneBuilder scene_;
};

// A random hue, seldom grey; mostly plain, sometimes metal.
int32_t Maker::paint() {
  const float hue = in(0, 6), saturation = chance(0.15) ? in(0, 0.15) : in(0.4, 1), value = in(0.15, 1);
  Vec3 color{};
  for (int channel = 0; channel < 3; ++channel) {
    const float distance = std::abs(std::fmod(hue + 6 - 2 * static_cast<float>(channel), 6.0f) - 3);
    const float full = std::clamp(distance - 1, 0.0f, 1.0f);
    color[channel] = value * (1 - saturation * (1 - full));
  }
  const bool metal = chance(0.15);
  return scene_.add_material(color, metal ? 1.0f : 0.0f, in(0.25, 1));
}

Mesh random_primitive(Maker& make) {
  const float a = make.in(0.15, 0.5), b = make.in(0.15, 0.5), c = make.in(0.15, 0.5);
  switch (make.count(0, 4)) {
    case 0:
      return box({2 * a, 2 * b, 2 * c});
    case 1:
      return superellipsoid({a, b, c}, make.in(0.3, 1.5), make.in(0.3, 1.5));
    case 2:
      return frustum(a, a, 2 * c);
    case 3:
      return frustum(a, make.chance(0.5) ? 0 : a * make.in(0.2, 0.7), 2 * c);
    default:
      return torus(a, a * make.in(0.25, 0.6));
  }
}

void make_superellipsoid(Maker& make) {
  const Vec3 radii{make.in(0.2, 0.5), make.in(0.2, 0.5), make.in(0.2, 0.5)};
  make.add(superellipsoid(radii, make.in(0.2, 1.8), make.in(0.2, 1.8)), make.paint());
}

void make_box(Maker& make) { make.add(box({make.in(0.2, 1), make.in(0.2, 1), make.in(0.2, 1)}), make.paint()); }

void make_cylinder(Maker& make) {
  const float radius = make.in(0.15, 0.5), height = make.in(0.15, 1);
  Mesh mesh = frustum(radius, radius, height);
  if (make.chance(0.3)) mesh = rotated_y(std::move(mesh), std::numbers::pi_v<float> / 2);
  make.add(std::move(mesh), make.paint());
}

void make_cone(Maker& make) {
  const float radius = make.in(0.2, 0.5);
  make.add(frustum(radius, make.chance(0.5) ? 0 : radius * make.in(0.2, 0.8), make.in(0.3, 1)), make.paint());
}

void make_torus(Maker& make) {
  const float major = make.in(0.3, 0.4);
  Mesh mesh = torus(major, major * make.in(0.2, 0.6));
  if (make.chance(0.4)) mesh = rotated_x(std::move(mesh), std::numbers::pi_v<float> / 2);
  make.add(std::move(mesh), make.paint());
}

void make_capsule(Maker& make) {
  Mesh mesh = capsule(make.in(0.15, 0.35), make.in(0.1, 0.8));
  if (make.chance(0.5)) mesh = rotated_y(std::move(mesh), std::numbers::pi_v<float> / 2);
  make.add(std::move(mesh), make.paint());
}

void make_union(Maker& make) {
  const int parts = make.count(2, 3);
  for (int i = 0; i < parts; ++i) {
    Mesh mesh = random_primitive(make);
    const Vec3 at{make.in(-0.3, 0.3), make.in(-0.3, 0.3), make.in(-0.3, 0.3)};
    make.add(translated(std::move(mesh), at), make.paint());
  }
}

void make_stack(Maker& make) {
  const int parts = make.count(2, 4);
  float z = 0;
  for (int i = 0; i < parts; ++i) {
    const float size = make.in(0.2, 0.5), height = make.in(0.15, 0.4);
    const float top = make.chance(0.5) ? size : size * make.in(0.3, 1);
    Mesh mesh = make.chance(0.4) ? box({2 * size, make.in(0.4, 1), height}) : frustum(size, top, height);
    make.add(translated(std::move(mesh), {0, 0, z + height / 2}), make.paint());
    z += height;
  }
}

// Four legs under a plate of size [x, y] whose underside is at z.
void add_legs(Maker& make, float x, float y, float z, float thickness, int32_t material) {
  for (const float sx : {-1.0f, 1.0f}) {
    for (const float sy : {-1.0f, 1.0f}) {
      make.add_box({thickness, thickness, z}, {sx * (x - thickness) / 2, sy * (y - thickness) / 2, z / 2}, material);
    }
  }
}

void make_chair(Maker& make) {
  const int32_t body = make.paint(), legs = make.chance(0.5) ? body : make.paint();
  const float width = make.in(0.4, 0.6), depth = make.in(0.4, 0.6), seat = make.in(0.3, 0.5),
              plate = make.in(0.05, 0.1);
  const float back = make.in(0.3, 0.6);
  add_legs(make, depth, width, seat, make.in(0.05, 0.1), legs);
  make.add_box({depth, width, plate}, {0, 0, seat + plate / 2}, body);
  make.add_box({plate, width, back}, {(depth - plate) / 2, 0, seat + plate + back / 2}, body);
  if (make.chance(0.3)) {
    const float arm = make.in(0.15, 0.25);
    for (const float side : {-1.0f, 1.0f}) {
      make.add_box({depth, plate, arm}, {0, side * (width - plate) / 2, seat + plate + arm / 2}, body);
    }
  }
}

void make_table(Maker& make) {
  const float x = make.in(0.6, 1), y = make.in(0.4, 0.9), z = make.in(0.3, 0.7), plate = make.in(0.04, 0.12);
  const int32_t top = make.paint(), legs = make.chance(0.5) ? top : make.paint();
  if (make.chance(0.3)) {
    const float column = make.in(0.05, 0.12);
    make.add(translated(frustum(column, column, z), {0, 0, z / 2}), legs);
    make.add(translated(frustum(x / 2, x / 2, plate), {0, 0, z + plate / 2}), top);
    make.add(translated(frustum(x / 3, x / 3, plate / 2), {0, 0, plate / 4}), legs);
    return;
  }
  add_legs(make, x, y, z, make.in(0.05, 0.14), legs);
  make.add_box({x, y, plate}, {0, 0, z + plate / 2}, top);
}

void make_arch(Maker& make) {
  const float radius = make.in(0.2, 0.4), thickness = make.in(0.1, 0.2), depth = make.in(0.15, 0.5);
  const float posts = make.in(0.1, 0.5);
  std::vector<Vec2> path{{radius, -posts}};
  for (int i = 0; i <= 16; ++i) {
    const float angle = std::numbers::pi_v<float> * static_cast<float>(i) / 16;
    path.push_back({radius * std::cos(angle), radius * std::sin(angle)});
  }
  path.push_back({-radius, -posts});
  make.add(rotated_x(wall(path, thickness, depth), std::numbers::pi_v<float> / 2), make.paint());
}

void make_corner(Maker& make) {
  const float x = make.in(0.5, 1), z = make.in(0.4, 1), depth = make.in(0.2, 0.7), thickness = make.in(0.12, 0.3);
  const int32_t first = make.paint(), second = make.chance(0.5) ? first : make.paint();
  make.add_box({x, depth, thickness}, {0, 0, thickness / 2}, first);
  make.add_box({thickness, depth, z}, {(x - thickness) / 2, 0, thickness + z / 2}, second);
}

void make_stairs(Maker& make) {
  const int steps = make.count(3, 6);
  const float run = make.in(0.12, 0.25), rise = make.in(0.1, 0.2), width = make.in(0.3, 0.8);
  const int32_t first = make.paint(), second = make.chance(0.6) ? first : make.paint();
  for (int i = 0; i < steps; ++i) {
    const float height = rise * static_cast<float>(i + 1);
    make.add_box({run, width, height}, {run * static_cast<float>(i), 0, height / 2}, i % 2 == 0 ? first : second);
  }
}

void make_lamp(Maker& make) {
  const float foot = make.in(0.15, 0.3), pole = make.in(0.03, 0.06), height = make.in(0.5, 0.9);
  const float shade = make.in(0.2, 0.4), shade_height = make.in(0.2, 0.4);
  const int32_t metal = make.paint();
  make.add(translated(frustum(foot, foot, 0.08f), {0, 0, 0.04f}), metal);
  make.add(translated(frustum(pole, pole, height), {0, 0, height / 2}), metal);
  Mesh cover = make.chance(0.3) ? superellipsoid({shade, shade, shade_height / 2}, 1, 1)
                                : frustum(shade, shade * make.in(0.3, 0.8), shade_height);
  make.add(translated(std::move(cover), {0, 0, height + shade_height / 2}), make.paint());
}

void make_car(Maker& make) {
  const float length = 1, width = make.in(0.38, 0.5), body = make.in(0.14, 0.22), wheel = make.in(0.09, 0.13);
  const float cabin = make.in(0.35, 0.6), roof = make.in(0.12, 0.22), shift = make.in(0.05, 0.15);
  const int32_t paint = make.paint(), glass = make.chance(0.4) ? paint : make.paint(), tyre = make.paint();
  make.add_box({length, width, body}, {0, 0, wheel + body / 2}, paint);
  make.add_box({cabin, width * 0.9f, roof}, {shift, 0, wheel + body + roof / 2}, glass);
  for (const float sx : {-0.3f, 0.3f}) {
    for (const float sy : {-0.5f, 0.5f}) {
      make.add(
          translated(rotated_x(frustum(wheel, wheel, 0.08f), std::numbers::pi_v<float> / 2), {sx, sy * width, wheel}),
          tyre);
    }
  }
}

void make_house(Maker& make) {
  const float x = make.in(0.6, 1), y = make.in(0.4, 0.7), z = make.in(0.25, 0.5), roof = make.in(0.15, 0.4);
  const float eaves = make.in(0, 0.06);
  make.add_box({x, y, z}, {0, 0, z / 2}, make.paint());
  const float half = y / 2 + eaves;
  const Vec2 gable[] = {{-half, -roof / 3}, {half, -roof / 3}, {0, 2 * roof / 3}};
  // From the xy plane to the yz plane: x -> y, y -> z, z -> x.
  Mesh top =
      rotated_z(rotated_x(prism(gable, x + 2 * eaves), std::numbers::pi_v<float> / 2), std::numbers::pi_v<float> / 2);
  make.add(translated(std::move(top), {0, 0, z + roof / 3}), make.paint());
  if (make.chance(0.5)) make.add_box({0.1f, 0.1f, roof + 0.1f}, {x * 0.3f, y * 0.2f, z + roof / 2}, make.paint());
}

void make_tree(Maker& make) {
  const float trunk = make.in(0.05, 0.1), height = make.in(0.2, 0.5), crown = make.in(0.25, 0.42);
  make.add(translated(frustum(trunk, trunk, height), {0, 0, height / 2}), make.paint());
  const int32_t leaves = make.paint();
  if (make.chance(0.5)) {
    const float tall = make.in(0.25, 0.4);
    make.add(translated(superellipsoid({crown, crown, tall}, 1, 1), {0, 0, height + tall * 0.8f}), leaves);
    return;
  }
  const int tiers = make.count(1, 3);
  for (int i = 0; i < tiers; ++i) {
    const float radius = crown * (1 - 0.22f * static_cast<float>(i));
    make.add(translated(frustum(radius, 0, 0.4f), {0, 0, height + 0.2f + 0.22f * static_cast<float>(i)}), leaves);
  }
}

void make_vase(Maker& make) {
  const float foot = make.in(0.1, 0.25), belly = make.in(0.25, 0.45), neck = make.in(0.06, 0.2);
  const float mouth = make.in(0.1, 0.3), height = make.in(0.7, 1.1), waist = make.in(0.3, 0.5);
  // A smooth curve through foot, belly, neck and mouth.
  const std::array<Vec2, 4> knots{{{foot, 0}, {belly, waist}, {neck, 0.8f}, {mouth, 1}}};
  std::vector<Vec2> profile;
  for (size_t k = 0; k + 1 < knots.size(); ++k) {
    for (int i = 0; i < 6; ++i) {
      const float t = static_cast<float>(i) / 6, blend = (1 - std::cos(std::numbers::pi_v<float> * t)) / 2;
      profile.push_back({knots[k][0] + (knots[k + 1][0] - knots[k][0]) * blend,
                         height * (knots[k][1] + (knots[k + 1][1] - knots[k][1]) * t)});
    }
  }
  profile.push_back({mouth, height});
  make.add(revolve(profile), make.paint());
}

struct Slot {
  std::string_view family;
  void (*make)(Maker&);
};

// The order of one round of objects. Families with more variety come more often.
constexpr Slot kSlots[] = {
    {"superellipsoid", make_superellipsoid},
    {"chair", make_chair},
    {"cylinder", make_cylinder},
    {"union", make_union},
    {"table", make_table},
    {"cone", make_cone},
    {"stack", make_stack},
    {"car", make_car},
    {"torus", make_torus},
    {"stairs", make_stairs},
    {"house", make_house},
    {"box", make_box},
    {"union", make_union},
    {"lamp", make_lamp},
    {"capsule", make_capsule},
    {"arch", make_arch},
    {"chair", make_chair},
    {"tree", make_tree},
    {"corner", make_corner},
    {"vase", make_vase},
};

constexpr std::string_view kFamilies[] = {
    "superellipsoid", "chair", "cylinder", "union", "table",   "cone", "stack", "car",    "torus",
    "stairs",         "house", "box",      "lamp",  "capsule", "arch", "tree",  "corner", "vase",
};

// The area-weighted centre of the surface.
Vec3 surface_centre(const mesh::Scene& scene) {
  double total = 0;
  std::array<double, 3> sum{};
  for (const Mesh& mesh : scene.meshes) {
    for (const mesh::Triangle& t : mesh.triangles) {
      const Vec3 &a = mesh.positions[t[0]], &b = mesh.positions[t[1]], &c = mesh.positions[t[2]];
      const double u[3] = {b[0] - a[0], b[1] - a[1], b[2] - a[2]}, v[3] = {c[0] - a[0], c[1] - a[1], c[2] - a[2]};
      const double area = std::hypot(u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]);
      total += area;
      for (int axis = 0; axis < 3; ++axis) sum[axis] += area * (a[axis] + b[axis] + c[axis]) / 3;
    }
  }
  Vec3 centre{};
  for (int axis = 0; axis < 3; ++axis) centre[axis] = static_cast<float>(sum[axis] / std::max(total, 1e-30));
  return centre;
}

void turn(mesh::Scene& scene, float radians) {
  for (Mesh& mesh : scene.meshes) mesh = rotated_z(std::move(mesh), radians);
}

// The surface's centre relative to the middle of the bounds, in shares of the longest side.
Vec3 centre_offset(const mesh::Scene& scene, const mesh::Bounds& bounds) {
  const Vec3 centre = surface_centre(scene);
  Vec3 offset{};
  float side = 0;
  for (int axis = 0; axis < 3; ++axis) side = std::max(side, bounds.max[axis] - bounds.min[axis]);
  for (int axis = 0; axis < 3; ++axis) offset[axis] = (centre[axis] - (bounds.min[axis] + bounds.max[axis]) / 2) / side;
  return offset;
}

}  // namespace

int32_t SceneBuilder::add_material(const Vec3& base_color, float metallic, float roughness) {
  mesh::Material material;
  material.name = "paint " + std::to_string(scene_.materials.size());
  material.base_color = base_color;
  material.metallic = metallic;
  material.roughness = roughness;
  scene_.materials.push_back(std::move(material));
  return static_cast<int32_t>(scene_.materials.size() - 1);
}

void SceneBuilder::add(Mesh mesh, int32_t material) {
  mesh.material_ids.assign(mesh.triangles.size(), material);
  mesh.name = "part " + std::to_string(scene_.meshes.size());
  scene_.meshes.push_back(std::move(mesh));
}

std::span<const std::string_view> families() { return kFamilies; }

bool turn_to_canonical_pose(mesh::Scene& scene) {
  auto bounds = mesh::bounds(scene);
  if (!bounds.ok()) return false;
  const float x = bounds->max[0] - bounds->min[0], y = bounds->max[1] - bounds->min[1];
  if (y > x * (1 + kCentred)) {
    turn(scene, std::numbers::pi_v<float> / 2);
    bounds = mesh::bounds(scene);
  }
  const Vec3 offset = centre_offset(scene, *bounds);
  const float decisive = std::abs(offset[0]) > kCentred ? offset[0] : offset[1];
  if (decisive < -kCentred) turn(scene, std::numbers::pi_v<float>);
  return std::abs(decisive) > kCentred;
}

bool mirrors_in_y(const mesh::Scene& scene) {
  const auto bounds = mesh::bounds(scene);
  return !bounds.ok() || centre_offset(scene, *bounds)[0] > kCentred;
}

Object make_object(uint64_t seed, uint32_t index) {
  const Slot& slot = kSlots[index % std::size(kSlots)];
  Maker make(seed, index);
  slot.make(make);
  Object object{std::string(slot.family), make.take()};
  turn_to_canonical_pose(object.scene);
  // Every family has extent, so normalising cannot fail.
  (void)mesh::normalize(object.scene).ok();
  return object;
}

}  // namespace espalier::nano
