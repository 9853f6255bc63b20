#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "common/status.h"
#include "mesh/closest_point.h"
#include "mesh/surface.h"
#include "ovoxel/grid.h"

// A surface made anew as the boundary of all points within a small distance of it: closed and consistently wound,
// whatever holes, seams and inner walls it had. A thin sheet becomes a shell, a solid gets an outer and an inner one.
// Reference: o-voxel/o_voxel/postprocess.py, to_glb with remesh, and CuMesh, remesh_narrow_band_dc.
namespace espalier::ovoxel {

struct RemeshOptions {
  int32_t resolution = 512;  // cells per side of the object's box: 4 .. 2000, and even until it is 32 or less
  float band = 1;            // the distance, in cells of that box
  float project = 0;         // 0..1: how far vertices go back to the given surface
  int threads = 0;           // 0: one per core
};

// The cells that the boundary may pass through, and the distance to the surface less the band at their corners.
struct NarrowBand {
  int32_t resolution = 0;  // cells per side of a cube of `scale` around the middle of [-0.5, 0.5]^3
  float scale = 1;
  std::vector<Voxel> cells;    // ascending (x, y, z)
  std::vector<Voxel> corners;  // of all cells, ascending; 0 .. resolution
  std::vector<float> values;   // [corners] below 0 within the distance
};

// INVALID_ARGUMENT: options out of range.
Result<NarrowBand> narrow_band(const mesh::ClosestPoint& surface, const RemeshOptions& options);

// Where each cell's grid edges at its far side are crossed: -1 into the distance, 1 out of it, 0 not; by axis.
std::vector<std::array<int8_t, 3>> crossings(const NarrowBand& band);

// Dual contouring: a vertex in each crossed cell, a quad around each crossed edge. Unused vertices are left out.
mesh::Surface contour(const NarrowBand& band);

// All of it. The surface lies in [-0.5, 0.5]^3. INVALID_ARGUMENT: options, no triangles, as mesh::validate().
Result<mesh::Surface> remesh(const mesh::Surface& surface, const RemeshOptions& options);

}  // namespace espalier::ovoxel
