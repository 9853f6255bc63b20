#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "common/status.h"
#include "mesh/scene.h"
#include "ovoxel/grid.h"

// Scan conversion of triangles against the lines of a grid, shared by all conversions; not for other folders.
//
// For each axis the triangle is seen along it, as a flat one over the grid of the other two, and rasterised: cut at its
// middle vertex into two halves, each half walked row by row, each row column by column. Rows and columns are grid
// lines, so a column of a row is one line along the axis, and its depth there is the point where it pierces the
// triangle. A triangle that no line pierces leaves no trace. Lines on the faces of the grid are not tested.
//
// All arithmetic follows the reference's operation order (float products widened to double, truncation toward zero):
// on models lying in grid planes the last bit decides which voxel is touched.
namespace espalier::ovoxel::internal {

inline constexpr int32_t kMaxGridSize = 2048;

// Voxels with x in [begin, end): the part of the grid that one worker converts at a time.
struct Slab {
  int32_t begin = 0;
  int32_t end = 0;
};

// Where a line through grid corner (x+1, y+1), in the axis order (axis+1, axis+2, axis), meets a triangle.
struct Hit {
  int axis;
  int32_t x, y, z;   // in axis order; z is the cell that holds the point
  mesh::Vec3 point;  // in world axes
};

// Calls visit(voxel, corner) for those of the four voxels around a hit's line that lie in the slab. Corner 0 is the one
// whose far edge the line is.
template <class Visit>
void for_each_voxel(const Hit& hit, const Slab& slab, Visit&& visit) {
  const int a0 = (hit.axis + 1) % 3, a1 = (hit.axis + 2) % 3;
  Voxel voxel;
  voxel[hit.axis] = hit.z;
  for (int corner = 0; corner < 4; ++corner) {
    voxel[a0] = hit.x + corner / 2;
    voxel[a1] = hit.y + corner % 2;
    if (voxel[0] >= slab.begin && voxel[0] < slab.end) visit(voxel, corner);
  }
}

struct ScanPoint {
  double x, y, z;
};

inline double lerp(double a, double b, double t, double va, double vb) {
  if (a == b) return va;
  const double alpha = (t - a) / (b - a);
  return (1 - alpha) * va + alpha * vb;
}

// Truncated quotient clamped to a cell of [0, size).
inline int32_t cell(double value, double h, int32_t size) {
  const double q = value / h;
  if (!(q > 0)) return 0;
  return q >= size - 1 ? size - 1 : static_cast<int32_t>(q);
}

// Calls on_hit(Hit) for each line that pierces a triangle and touches the slab, by axis, row and column, each
// ascending: the order in which the reference adds up.
template <class OnHit>
class TriangleScan {
 public:
  TriangleScan(const Grid& grid, const Slab& slab, OnHit& on_hit) : grid_(grid), slab_(slab), on_hit_(on_hit) {}

  // `triangle` relative to grid.lo.
  void operator()(const std::array<mesh::Vec3, 3>& triangle) {
    for (int axis = 0; axis < 3; ++axis) scan_axis(triangle, axis);
  }

 private:
  void scan_axis(const std::array<mesh::Vec3, 3>& triangle, int axis) {
    axis_ = axis;
    a0_ = (axis + 1) % 3;
    a1_ = (axis + 2) % 3;
    std::array<ScanPoint, 3> t;
    for (int i = 0; i < 3; ++i) t[i] = {triangle[i][a0_], triangle[i][a1_], triangle[i][axis]};
    // Stable for equal keys, as an insertion sort.
    if (t[1].y < t[0].y) std::swap(t[0], t[1]);
    if (t[2].y < t[1].y) {
      std::swap(t[1], t[2]);
      if (t[1].y < t[0].y) std::swap(t[0], t[1]);
    }
    const double h = grid_.voxel_size[a1_];
    const int32_t first = cell(t[0].y, h, grid_.size[a1_]);
    const int32_t middle = cell(t[1].y, h, grid_.size[a1_]);
    const int32_t last = cell(t[2].y, h, grid_.size[a1_]);
    scan_rows(t[0], t[1], t[2], first, middle);
    scan_rows(t[2], t[1], t[0], middle, last);
  }

  void scan_rows(const ScanPoint& s0, const ScanPoint& s1, const ScanPoint& s2, int32_t begin, int32_t end) {
    if (a1_ == 0) {  // rows run along x: row y touches voxels y and y + 1
      begin = std::max(begin, slab_.begin - 1);
      end = std::min(end, slab_.end);
    }
    for (int32_t y = begin; y < end; ++y) {
      const double row = static_cast<float>(y + 1) * grid_.voxel_size[a1_];
      double ax = lerp(s0.y, s1.y, row, s0.x, s1.x), az = lerp(s0.y, s1.y, row, s0.z, s1.z);
      double bx = lerp(s0.y, s2.y, row, s0.x, s2.x), bz = lerp(s0.y, s2.y, row, s0.z, s2.z);
      if (ax > bx) {
        std::swap(ax, bx);
        std::swap(az, bz);
      }
      scan_columns(y, row, ax, az, bx, bz);
    }
  }

  void scan_columns(int32_t y, double row, double ax, double az, double bx, double bz) {
    int32_t begin = cell(ax, grid_.voxel_size[a0_], grid_.size[a0_]);
    int32_t end = cell(bx, grid_.voxel_size[a0_], grid_.size[a0_]);
    if (a0_ == 0) {
      begin = std::max(begin, slab_.begin - 1);
      end = std::min(end, slab_.end);
    } else if (axis_ == 0) {
      narrow(ax, az, bx, bz, begin, end);
    }
    const double hz = grid_.voxel_size[axis_];
    for (int32_t x = begin; x < end; ++x) {
      const double column = static_cast<float>(x + 1) * grid_.voxel_size[a0_];
      const double depth = lerp(ax, bx, column, az, bz);
      const double q = depth / hz;
      if (!(q > -1) || !(q < grid_.size[axis_])) continue;
      const auto z = static_cast<int32_t>(q);  // truncates: (-1, 0) falls into cell 0
      if (axis_ == 0 && (z < slab_.begin || z >= slab_.end)) continue;
      Hit hit{axis_, x, y, z, {}};
      hit.point[a0_] = static_cast<float>(column);
      hit.point[a1_] = static_cast<float>(row);
      hit.point[axis_] = static_cast<float>(depth);
      on_hit_(hit);
    }
  }

  // Lines along x: leaves out columns whose depth is two cells or more outside the slab. Only a saving of time; the
  // exact test follows.
  void narrow(double ax, double az, double bx, double bz, int32_t& begin, int32_t& end) const {
    const double h = grid_.voxel_size[0], width = grid_.voxel_size[a0_];
    const double low = (slab_.begin - 2) * h, high = (slab_.end + 2) * h;
    if (std::max(az, bz) < low || std::min(az, bz) > high) {
      end = begin;
      return;
    }
    if (end - begin < 8 || !(bx > ax) || az == bz) return;
    const double x_low = ax + (low - az) / (bz - az) * (bx - ax), x_high = ax + (high - az) / (bz - az) * (bx - ax);
    begin = std::max(begin, cell(std::min(x_low, x_high), width, grid_.size[a0_]) - 2);
    end = std::min(end, cell(std::max(x_low, x_high), width, grid_.size[a0_]) + 2);
  }

  const Grid& grid_;
  const Slab slab_;
  OnHit& on_hit_;
  int axis_ = 0, a0_ = 1, a1_ = 2;
};

// The voxels of one slab, found through bricks of 4x4x4 cells. A brick is addressed directly, without hashing, and
// neighbouring voxels share its cache lines.
class SlabTable {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  explicit SlabTable(const Grid& grid);
  void start(const Slab& slab);

  const Slab& slab() const { return slab_; }
  uint32_t size() const { return size_; }

  // Index of a voxel of the slab, or kNone.
  uint32_t find(int32_t x, int32_t y, int32_t z) const {
    const uint32_t brick = bricks_[brick_index(x, y, z)];
    return brick == kNone ? kNone : cells_[size_t{brick} * 64 + cell_index(x, y, z)];
  }

  // The same, adding it with the next index when it is new.
  uint32_t insert(int32_t x, int32_t y, int32_t z) {
    uint32_t& brick = bricks_[brick_index(x, y, z)];
    if (brick == kNone) {
      brick = static_cast<uint32_t>(cells_.size() / 64);
      cells_.resize(cells_.size() + 64, kNone);
    }
    uint32_t& index = cells_[size_t{brick} * 64 + cell_index(x, y, z)];
    if (index == kNone) index = size_++;
    return index;
  }

  // visit(voxel, index) for all voxels, ascending in (x, y, z).
  template <class Visit>
  void for_each_sorted(Visit&& visit) const;

 private:
  size_t brick_index(int32_t x, int32_t y, int32_t z) const {
    return (static_cast<size_t>((x - slab_.begin) >> 2) * rows_ + static_cast<size_t>(y >> 2)) * columns_ +
           static_cast<size_t>(z >> 2);
  }
  size_t cell_index(int32_t x, int32_t y, int32_t z) const {
    return static_cast<size_t>(((x - slab_.begin) & 3) << 4 | (y & 3) << 2 | (z & 3));
  }

  size_t rows_, columns_;
  Slab slab_;
  uint32_t size_ = 0;
  std::vector<uint32_t> bricks_;  // [slab bricks, rows, columns]
  std::vector<uint32_t> cells_;   // [bricks in use, 64]
};

template <class Visit>
void SlabTable::for_each_sorted(Visit&& visit) const {
  struct Used {
    int32_t z;
    const uint32_t* cells;
  };
  std::vector<Used> used;  // bricks of one layer, by rows
  std::vector<size_t> row_begin(rows_ + 1);
  for (int32_t layer = slab_.begin; layer < slab_.end; layer += 4) {
    used.clear();
    for (size_t row = 0; row < rows_; ++row) {
      const uint32_t* line = &bricks_[(static_cast<size_t>((layer - slab_.begin) >> 2) * rows_ + row) * columns_];
      for (size_t column = 0; column < columns_; ++column) {
        if (line[column] == kNone) continue;
        used.push_back({static_cast<int32_t>(column) * 4, &cells_[size_t{line[column]} * 64]});
      }
      row_begin[row + 1] = used.size();
    }
    for (int32_t x = layer; x < std::min(layer + 4, slab_.end); ++x) {
      for (int32_t y = 0; y < static_cast<int32_t>(rows_) * 4; ++y) {
        const size_t row = static_cast<size_t>(y >> 2);
        for (size_t i = row_begin[row]; i < row_begin[row + 1]; ++i) {
          const uint32_t* found = used[i].cells + cell_index(x, y, 0);
          for (int32_t k = 0; k < 4; ++k) {
            if (found[k] != kNone) visit(Voxel{x, y, used[i].z + k}, found[k]);
          }
        }
      }
    }
  }
}

// INVALID_ARGUMENT for what scan conversion cannot take.
Status check_input(std::span<const mesh::Vec3> positions, std::span<const mesh::Triangle> triangles, const Grid& grid);

// The grid cut into slabs, and for each the triangles that can touch it, in input order.
struct Partition {
  std::vector<Slab> slabs;
  std::vector<std::vector<uint32_t>> triangles;  // [slabs]
};
// `relative` are the positions minus grid.lo.
Partition partition(std::span<const mesh::Vec3> relative, std::span<const mesh::Triangle> triangles, const Grid& grid);

std::vector<mesh::Vec3> relative_positions(std::span<const mesh::Vec3> positions, const Grid& grid);

}  // namespace espalier::ovoxel::internal
