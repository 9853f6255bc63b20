#pragma once

#include <cmath>
#include <vector>

#include "bake/bake.h"
#include "ovoxel/active_voxels.h"
#include "tests/ovoxel/shapes.h"

// Surfaces with materials around them, for the tests of baking.
namespace espalier::bake {

inline mesh::Surface surface_of(const ovoxel::Shape& shape) { return {shape.positions, shape.triangles}; }

// A strip that winds three times around the z axis: flat everywhere, and above itself.
inline mesh::Surface helicoid(uint32_t steps = 120) {
  mesh::Surface out;
  for (uint32_t i = 0; i <= steps; ++i) {
    const double turn = 6 * std::numbers::pi * i / steps;
    for (const double r : {0.2, 0.4}) {
      out.positions.push_back({static_cast<float>(r * std::cos(turn)), static_cast<float>(r * std::sin(turn)),
                               static_cast<float>(0.3 * i / steps)});
    }
  }
  for (uint32_t i = 0; i < steps; ++i) {
    out.triangles.push_back({2 * i, 2 * i + 1, 2 * i + 3});
    out.triangles.push_back({2 * i, 2 * i + 3, 2 * i + 2});
  }
  return out;
}

// The voxels that a surface touches, with smooth materials of their places.
struct Painted {
  std::vector<ovoxel::Voxel> voxels;
  std::vector<std::array<float, 6>> values;
  int32_t resolution;

  Painted(const mesh::Surface& surface, int32_t side, float alpha = 1) : resolution(side) {
    voxels = *ovoxel::active_voxels(surface.positions, surface.triangles, ovoxel::Grid::cube(side));
    for (const ovoxel::Voxel& v : voxels) {
      const auto wave = [&](size_t axis) {
        return 0.5f + 0.45f * std::sin(5 * (static_cast<float>(v[axis]) + 0.5f) / static_cast<float>(side));
      };
      values.push_back({wave(0), wave(1), wave(2), 1 - wave(0), 1 - wave(1), alpha});
    }
  }
  AttributeVolume volume() const { return {voxels, values, resolution}; }
};

inline BakeOptions small(int size = 256) {
  BakeOptions out;
  out.texture_size = size;
  out.threads = 2;
  return out;
}

}  // namespace espalier::bake
