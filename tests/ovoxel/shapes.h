#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <map>
#include <numbers>
#include <random>
#include <vector>

#include "mesh/scene.h"
#include "ovoxel/grid.h"

// Small triangle meshes to convert.
namespace espalier::ovoxel {

struct Shape {
  std::vector<mesh::Vec3> positions;
  std::vector<mesh::Triangle> triangles;

  void append(const Shape& other) {
    const auto base = static_cast<uint32_t>(positions.size());
    positions.insert(positions.end(), other.positions.begin(), other.positions.end());
    for (const auto& t : other.triangles) triangles.push_back({t[0] + base, t[1] + base, t[2] + base});
  }
};

inline Shape moved(Shape shape, const mesh::Vec3& by, float scale = 1) {
  for (auto& p : shape.positions) {
    for (size_t a = 0; a < 3; ++a) p[a] = p[a] * scale + by[a];
  }
  return shape;
}

// Closed, of 2 * segments * (rings - 1) triangles.
inline Shape sphere(float radius, uint32_t rings = 24, uint32_t segments = 48) {
  Shape out;
  out.positions = {{0, 0, radius}, {0, 0, -radius}};
  for (uint32_t r = 1; r < rings; ++r) {
    const double polar = std::numbers::pi * r / rings;
    for (uint32_t s = 0; s < segments; ++s) {
      const double around = 2 * std::numbers::pi * s / segments;
      out.positions.push_back({static_cast<float>(radius * std::sin(polar) * std::cos(around)),
                               static_cast<float>(radius * std::sin(polar) * std::sin(around)),
                               static_cast<float>(radius * std::cos(polar))});
    }
  }
  const auto at = [&](uint32_t r, uint32_t s) { return 2 + (r - 1) * segments + s % segments; };
  for (uint32_t s = 0; s < segments; ++s) {
    out.triangles.push_back({0, at(1, s), at(1, s + 1)});
    out.triangles.push_back({1, at(rings - 1, s + 1), at(rings - 1, s)});
    for (uint32_t r = 1; r + 1 < rings; ++r) {
      out.triangles.push_back({at(r, s), at(r + 1, s), at(r + 1, s + 1)});
      out.triangles.push_back({at(r, s), at(r + 1, s + 1), at(r, s + 1)});
    }
  }
  return out;
}

// An open wavy square of 2 * side^2 triangles.
inline Shape sheet(uint32_t side = 12) {
  Shape out;
  for (uint32_t i = 0; i <= side; ++i) {
    for (uint32_t j = 0; j <= side; ++j) {
      const float x = static_cast<float>(i) / static_cast<float>(side),
                  y = static_cast<float>(j) / static_cast<float>(side);
      out.positions.push_back({0.8f * x - 0.4f, 0.8f * y - 0.4f, 0.1f * std::sin(9 * x) * std::cos(7 * y)});
    }
  }
  for (uint32_t i = 0; i < side; ++i) {
    for (uint32_t j = 0; j < side; ++j) {
      const uint32_t a = i * (side + 1) + j, b = a + side + 1;
      out.triangles.push_back({a, b, b + 1});
      out.triangles.push_back({a, b + 1, a + 1});
    }
  }
  return out;
}

// Random triangles that cross each other and leave the grid.
inline Shape soup(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> unit(-0.7f, 0.7f);
  Shape out;
  for (uint32_t t = 0; t < count; ++t) {
    for (int k = 0; k < 3; ++k) out.positions.push_back({unit(random), unit(random), unit(random)});
    out.triangles.push_back({3 * t, 3 * t + 1, 3 * t + 2});
  }
  return out;
}

// How often each undirected edge is used.
inline std::map<std::array<uint32_t, 2>, int> edge_uses(const std::vector<mesh::Triangle>& triangles) {
  std::map<std::array<uint32_t, 2>, int> out;
  for (const auto& t : triangles) {
    for (size_t k = 0; k < 3; ++k) ++out[{std::min(t[k], t[(k + 1) % 3]), std::max(t[k], t[(k + 1) % 3])}];
  }
  return out;
}

}  // namespace espalier::ovoxel
