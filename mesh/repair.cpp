#include <algorithm>
#include <cmath>
#include <numeric>

#include "mesh/disjoint_sets.h"
#include "mesh/edges.h"
#include "mesh/surface.h"

namespace espalier::mesh {
namespace {

using internal::Side;

constexpr uint32_t kUnplaced = UINT32_MAX;

// Drops degenerate triangles and repetitions, whichever way they wind; the first of a kind stays.
void drop_repeated(std::vector<Triangle>& triangles) {
  std::erase_if(triangles, [](const Triangle& t) { return t[0] == t[1] || t[1] == t[2] || t[2] == t[0]; });
  std::vector<Triangle> corners = triangles;
  for (Triangle& t : corners) std::sort(t.begin(), t.end());
  std::vector<uint32_t> order(triangles.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return corners[a] < corners[b]; });
  std::vector<bool> repeated(triangles.size());
  for (size_t i = 1; i < order.size(); ++i) repeated[order[i]] = corners[order[i]] == corners[order[i - 1]];
  size_t kept = 0;
  for (size_t t = 0; t < triangles.size(); ++t) {
    if (!repeated[t]) triangles[kept++] = triangles[t];
  }
  triangles.resize(kept);
}

// Gives every set of corners that hang together across shared edges a vertex of its own, in the triangles' order. So an
// edge of three or more triangles, and a vertex that joins two fans, fall apart into pieces that are manifold.
void split_vertices(Surface& surface, const std::vector<Side>& sides) {
  std::vector<Triangle>& triangles = surface.triangles;
  DisjointSets corners(triangles.size() * 3);
  const auto corner_at = [&](const Side& side, uint32_t vertex) {
    const uint8_t k = triangles[side.triangle][side.corner] == vertex ? side.corner : (side.corner + 1) % 3;
    return side.triangle * 3 + k;
  };
  internal::for_shared_edges(sides, [&](const Side& a, const Side& b) {
    corners.join(corner_at(a, a.low), corner_at(b, a.low));
    corners.join(corner_at(a, a.high), corner_at(b, a.high));
  });
  std::vector<uint32_t> place(triangles.size() * 3, kUnplaced);
  std::vector<Vec3> positions;
  for (uint32_t c = 0; c < place.size(); ++c) {
    const uint32_t root = corners.find(c);  // never after c
    uint32_t& vertex = triangles[c / 3][c % 3];
    if (root == c) {
      place[c] = static_cast<uint32_t>(positions.size());
      positions.push_back(surface.positions[vertex]);
    }
    vertex = place[root];
  }
  surface.positions = std::move(positions);
}

double area(const Surface& surface, const Triangle& t) {
  std::array<double, 3> u, v;
  for (size_t a = 0; a < 3; ++a) {
    u[a] = double{surface.positions[t[1]][a]} - surface.positions[t[0]][a];
    v[a] = double{surface.positions[t[2]][a]} - surface.positions[t[0]][a];
  }
  return std::hypot(u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]) / 2;
}

// `sides` as before the vertices were split: shared edges have stayed shared.
void drop_crumbs(Surface& surface, const std::vector<Side>& sides, double smallest) {
  DisjointSets parts(surface.triangles.size());
  internal::for_shared_edges(sides, [&](const Side& a, const Side& b) { parts.join(a.triangle, b.triangle); });
  std::vector<double> areas(surface.triangles.size());
  for (uint32_t t = 0; t < areas.size(); ++t) areas[parts.find(t)] += area(surface, surface.triangles[t]);
  std::vector<Triangle> kept;
  for (uint32_t t = 0; t < areas.size(); ++t) {
    if (areas[parts.find(t)] >= smallest) kept.push_back(surface.triangles[t]);
  }
  surface.triangles = std::move(kept);
}

void drop_unused(Surface& surface) {
  std::vector<uint32_t> place(surface.positions.size(), kUnplaced);
  for (const Triangle& t : surface.triangles) {
    for (const uint32_t vertex : t) place[vertex] = 0;
  }
  uint32_t used = 0;
  for (size_t i = 0; i < place.size(); ++i) {
    if (place[i] == kUnplaced) continue;
    surface.positions[used] = surface.positions[i];
    place[i] = used++;
  }
  surface.positions.resize(used);
  for (Triangle& t : surface.triangles) {
    for (uint32_t& vertex : t) vertex = place[vertex];
  }
}

}  // namespace

Status repair(Surface& surface, double smallest) {
  ESP_TRY(validate(surface));
  drop_repeated(surface.triangles);
  const std::vector<Side> sides = internal::sorted_sides(surface.triangles);
  split_vertices(surface, sides);
  drop_crumbs(surface, sides, smallest);
  drop_unused(surface);
  return absl::OkStatus();
}

}  // namespace espalier::mesh
