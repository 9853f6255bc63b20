#pragma once

#include <Eigen/Dense>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "mesh/scene.h"
#include "ovoxel/grid.h"

namespace espalier::ovoxel::internal {

// The cells of a grid that a triangle overlaps, found by the exact triangle/box test of Schwarz and Seidel 2010, "Fast
// parallel surface and solid voxelization", in float32 and the reference's operation order. Not for other folders.
class FaceCells {
 public:
  // `corners` relative to grid.lo; `normal` their unit normal.
  FaceCells(const std::array<mesh::Vec3, 3>& corners, const Eigen::Vector3f& normal, const Grid& grid);

  // Calls visit(cell) for the overlapped cells in [low, high), each once. A triangle without a normal has none.
  template <class Visit>
  void for_each(const Voxel& low, const Voxel& high, Visit&& visit) const {
    if (!(std::abs(normal_[along_]) > 0)) return;
    const int u = (along_ + 1) % 3, v = (along_ + 2) % 3;
    Voxel cell;
    for (cell[u] = low[u]; cell[u] < high[u]; ++cell[u]) {
      for (cell[v] = low[v]; cell[v] < high[v]; ++cell[v]) {
        if (!inside_projection(u, cell)) continue;
        const Crossing range = crossing(cell[u], cell[v]);
        const int32_t begin = std::max(low[along_], range.begin), end = std::min(high[along_], range.end);
        for (cell[along_] = begin; cell[along_] < end; ++cell[along_]) {
          if (crosses_plane(cell) && inside_projection(v, cell) && inside_projection(along_, cell)) visit(cell);
        }
      }
    }
  }

 private:
  struct Edge {
    float u, v, d;
  };
  struct Crossing {
    int32_t begin, end;
  };

  float start(int axis, const Voxel& cell) const { return h_[axis] * static_cast<float>(cell[axis]); }

  bool crosses_plane(const Voxel& cell) const {
    const float s = normal_[0] * start(0, cell) + (normal_[1] * start(1, cell) + normal_[2] * start(2, cell));
    return !((s + d1_) * (s + d2_) > 0);
  }

  // Along the axis after the two that start at `axis`.
  bool inside_projection(int axis, const Voxel& cell) const {
    const float u = start(axis, cell), v = start((axis + 1) % 3, cell);
    for (const Edge& e : edges_[axis]) {
      if (e.u * u + e.v * v + e.d < 0) return false;
    }
    return true;
  }

  // Cells of a column between which the plane leaves it, with room for the rounding of crosses_plane().
  Crossing crossing(int32_t u, int32_t v) const {
    constexpr double kFar = 1e6;
    const double base = u * slope_[0] + v * slope_[1];
    return {static_cast<int32_t>(std::clamp(base + lowest_, -kFar, kFar)),
            static_cast<int32_t>(std::clamp(base + highest_, -kFar, kFar)) + 1};
  }

  Eigen::Vector3f normal_, h_;
  int along_ = 0;  // the axis closest to the normal
  float d1_, d2_;
  std::array<std::array<Edge, 3>, 3> edges_;
  // In cells along `along_`: the plane's rise per cell of the other axes, and its bounds in the column (0, 0).
  std::array<double, 2> slope_{};
  double lowest_ = 0, highest_ = 0;
};

}  // namespace espalier::ovoxel::internal
