#include "nano/solids.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace espalier::nano {
namespace {

using mesh::Mesh;
using mesh::Vec2;
using mesh::Vec3;

uint32_t add_vertex(Mesh& out, const Vec3& position) {
  out.positions.push_back(position);
  return static_cast<uint32_t>(out.positions.size() - 1);
}

// a, b, c, d counter-clockwise.
void add_quad(Mesh& out, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  out.triangles.push_back({a, b, c});
  out.triangles.push_back({a, c, d});
}

// Faces between two rings of `count` vertices each, the lower starting at `low`, counter-clockwise from above.
void join_rings(Mesh& out, uint32_t low, uint32_t high, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t j = (i + 1) % count;
    add_quad(out, low + i, low + j, high + j, high + i);
  }
}

// Closes a ring with a fan to `center`; `up` tells on which side the outside is.
void add_lid(Mesh& out, uint32_t ring, uint32_t count, const Vec3& center, bool up) {
  const uint32_t middle = add_vertex(out, center);
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t a = ring + i, b = ring + (i + 1) % count;
    out.triangles.push_back(up ? mesh::Triangle{a, b, middle} : mesh::Triangle{b, a, middle});
  }
}

float signed_power(float base, float exponent) { return std::copysign(std::pow(std::abs(base), exponent), base); }

Vec3 cross(const Vec3& a, const Vec3& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}

Vec3 unit(const Vec3& v) {
  const float n = std::sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
  return {v[0] / n, v[1] / n, v[2] / n};
}

// Turns two coordinates of every vertex by `radians`, from axis `from` towards axis `to`.
Mesh turned(Mesh mesh, float radians, int from, int to) {
  const float c = std::cos(radians), s = std::sin(radians);
  for (Vec3& p : mesh.positions) {
    const float a = p[from], b = p[to];
    p[from] = c * a - s * b;
    p[to] = s * a + c * b;
  }
  return mesh;
}

}  // namespace

Mesh box(const Vec3& size) {
  const float x = size[0] / 2, y = size[1] / 2;
  const Vec2 corners[] = {{-x, -y}, {x, -y}, {x, y}, {-x, y}};
  return prism(corners, size[2]);
}

Mesh superellipsoid(const Vec3& radii, float e_z, float e_xy) {
  constexpr int kRings = 15, kSegments = 32;
  Mesh out;
  for (int r = 1; r <= kRings; ++r) {
    const float latitude = std::numbers::pi_v<float> * (static_cast<float>(r) / (kRings + 1) - 0.5f);
    const float flat = signed_power(std::cos(latitude), e_z);
    for (int s = 0; s < kSegments; ++s) {
      const float angle = 2 * std::numbers::pi_v<float> * (static_cast<float>(s) + 0.5f) / kSegments;
      add_vertex(out, {radii[0] * flat * signed_power(std::cos(angle), e_xy),
                       radii[1] * flat * signed_power(std::sin(angle), e_xy),
                       radii[2] * signed_power(std::sin(latitude), e_z)});
    }
  }
  for (uint32_t r = 0; r + 1 < kRings; ++r) join_rings(out, r * kSegments, (r + 1) * kSegments, kSegments);
  add_lid(out, 0, kSegments, {0, 0, -radii[2]}, false);
  add_lid(out, (kRings - 1) * kSegments, kSegments, {0, 0, radii[2]}, true);
  return out;
}

Mesh revolve(std::span<const Vec2> profile, int segments) {
  Mesh out;
  const auto count = static_cast<uint32_t>(segments);
  std::vector<uint32_t> rings;
  for (const Vec2& point : profile) {
    if (point[0] <= 0) continue;  // the ends become the lids' centres
    rings.push_back(static_cast<uint32_t>(out.positions.size()));
    for (uint32_t s = 0; s < count; ++s) {
      const float angle = 2 * std::numbers::pi_v<float> * static_cast<float>(s) / static_cast<float>(count);
      add_vertex(out, {point[0] * std::cos(angle), point[0] * std::sin(angle), point[1]});
    }
  }
  for (size_t r = 0; r + 1 < rings.size(); ++r) join_rings(out, rings[r], rings[r + 1], count);
  add_lid(out, rings.front(), count, {0, 0, profile.front()[1]}, false);
  add_lid(out, rings.back(), count, {0, 0, profile.back()[1]}, true);
  return out;
}

Mesh torus(float major, float minor) {
  constexpr uint32_t kAround = 32, kAcross = 16;
  Mesh out;
  for (uint32_t i = 0; i < kAround; ++i) {
    const float u = 2 * std::numbers::pi_v<float> * static_cast<float>(i) / kAround;
    for (uint32_t j = 0; j < kAcross; ++j) {
      const float v = 2 * std::numbers::pi_v<float> * static_cast<float>(j) / kAcross;
      const float radius = major + minor * std::cos(v);
      add_vertex(out, {radius * std::cos(u), radius * std::sin(u), minor * std::sin(v)});
    }
  }
  for (uint32_t i = 0; i < kAround; ++i) {
    const uint32_t a = i * kAcross, b = (i + 1) % kAround * kAcross;
    for (uint32_t j = 0; j < kAcross; ++j) {
      const uint32_t k = (j + 1) % kAcross;
      add_quad(out, a + j, b + j, b + k, a + k);
    }
  }
  return out;
}

Mesh frustum(float bottom_radius, float top_radius, float height) {
  const Vec2 profile[] = {{bottom_radius, -height / 2}, {top_radius, height / 2}};
  return revolve(profile);
}

Mesh capsule(float radius, float height) {
  constexpr int kSteps = 8;
  std::vector<Vec2> profile;
  for (int half = -1; half <= 1; half += 2) {
    for (int i = 0; i <= kSteps; ++i) {
      const int step = half < 0 ? i - kSteps : i;
      const bool pole = std::abs(step) == kSteps;
      if (half > 0 && i == 0 && height <= 0) continue;  // the two equators coincide
      const float angle = std::numbers::pi_v<float> / 2 * static_cast<float>(step) / kSteps;
      profile.push_back(
          {pole ? 0 : radius * std::cos(angle), radius * std::sin(angle) + static_cast<float>(half) * height / 2});
    }
  }
  return revolve(profile);
}

Mesh prism(std::span<const Vec2> polygon, float height) {
  Mesh out;
  const auto count = static_cast<uint32_t>(polygon.size());
  for (const float z : {-height / 2, height / 2}) {
    for (const Vec2& p : polygon) add_vertex(out, {p[0], p[1], z});
  }
  join_rings(out, 0, count, count);
  add_lid(out, 0, count, {0, 0, -height / 2}, false);
  add_lid(out, count, count, {0, 0, height / 2}, true);
  return out;
}

Mesh wall(std::span<const Vec2> path, float thickness, float height) {
  Mesh out;
  const size_t n = path.size();
  // Four vertices per point of the path: left bottom, right bottom, right top, left top.
  for (size_t i = 0; i < n; ++i) {
    const Vec2 &a = path[i == 0 ? 0 : i - 1], &b = path[std::min(i + 1, n - 1)];
    const Vec3 direction = unit({b[0] - a[0], b[1] - a[1], 0});
    const float dx = -direction[1] * thickness / 2, dy = direction[0] * thickness / 2;
    add_vertex(out, {path[i][0] + dx, path[i][1] + dy, -height / 2});
    add_vertex(out, {path[i][0] - dx, path[i][1] - dy, -height / 2});
    add_vertex(out, {path[i][0] - dx, path[i][1] - dy, height / 2});
    add_vertex(out, {path[i][0] + dx, path[i][1] + dy, height / 2});
  }
  for (uint32_t i = 0; i + 1 < n; ++i) join_rings(out, 4 * i + 4, 4 * i, 4);
  const auto last = static_cast<uint32_t>(4 * (n - 1));
  add_quad(out, 0, 1, 2, 3);
  add_quad(out, last + 3, last + 2, last + 1, last);
  return out;
}

Mesh tube(std::span<const Vec3> path, float radius, int segments) {
  Mesh out;
  const auto count = static_cast<uint32_t>(segments);
  const size_t n = path.size();
  Vec3 side{0, 0, 1};
  for (size_t i = 0; i < n; ++i) {
    const Vec3 &a = path[i == 0 ? 0 : i - 1], &b = path[std::min(i + 1, n - 1)];
    const Vec3 direction = unit({b[0] - a[0], b[1] - a[1], b[2] - a[2]});
    // The last frame's side, made normal to the new direction, turns as little as possible.
    if (std::abs(direction[0] * side[0] + direction[1] * side[1] + direction[2] * side[2]) > 0.99f) side = {1, 0, 0};
    const Vec3 second = unit(cross(direction, side));
    side = cross(second, direction);
    for (uint32_t s = 0; s < count; ++s) {
      const float angle = 2 * std::numbers::pi_v<float> * static_cast<float>(s) / static_cast<float>(count);
      const float c = radius * std::cos(angle), q = radius * std::sin(angle);
      add_vertex(out, {path[i][0] + c * side[0] + q * second[0], path[i][1] + c * side[1] + q * second[1],
                       path[i][2] + c * side[2] + q * second[2]});
    }
  }
  for (uint32_t i = 0; i + 1 < n; ++i) join_rings(out, i * count, (i + 1) * count, count);
  add_lid(out, 0, count, path.front(), false);
  add_lid(out, static_cast<uint32_t>(n - 1) * count, count, path.back(), true);
  return out;
}

Mesh translated(Mesh mesh, const Vec3& offset) {
  for (Vec3& p : mesh.positions) {
    for (int axis = 0; axis < 3; ++axis) p[axis] += offset[axis];
  }
  return mesh;
}

Mesh rotated_z(Mesh mesh, float radians) { return turned(std::move(mesh), radians, 0, 1); }
Mesh rotated_x(Mesh mesh, float radians) { return turned(std::move(mesh), radians, 1, 2); }
Mesh rotated_y(Mesh mesh, float radians) { return turned(std::move(mesh), radians, 2, 0); }

}  // namespace espalier::nano
