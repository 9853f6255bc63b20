#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "common/status.h"

namespace espalier::nn {

// A sample and three coordinates pack into one 64-bit key.
inline constexpr int kSparseCoordLimit = 1 << 16;
inline constexpr int64_t kSparseBatchLimit = 1 << 15;

// What is derived from the cells of a level: made when first asked for, shared by all tensors on the same rows.
struct LevelCache {
  std::once_flag neighbours_once;
  at::Tensor neighbours;  // by neighbour_map()
  std::once_flag order_once;
  at::Tensor order;  // by row_order()
};

// Features at the occupied cells of a batch of voxel grids.
//
// Rows of one sample are contiguous and samples ascend; the order inside a sample is free and kept by all operators
// except the down-samplers. An empty sample keeps its place: the batch size is explicit. Copies share all parts.
// Reference: TRELLIS.2 trellis2/modules/sparse/basic.py.
struct SparseTensor {
  at::Tensor feats;              // [T, C]
  at::Tensor coords;             // [T, 4] int32: sample, x, y, z; all >= 0
  std::vector<int64_t> offsets;  // batch size + 1: rows of sample b are offsets[b] .. offsets[b+1]
  std::shared_ptr<LevelCache> cache = std::make_shared<LevelCache>();

  int64_t batch_size() const { return static_cast<int64_t>(offsets.size()) - 1; }
  int64_t rows() const { return feats.size(0); }
  // The same rows and coordinates with other features [T, C'].
  SparseTensor with(at::Tensor features) const { return {std::move(features), coords, offsets, cache}; }

  // INVALID_ARGUMENT: row counts differ, coords not [T, 4] int32, samples not ascending, outside 0 .. batch_size-1, or
  // a coordinate outside 0 .. 2^16-1.
  static Result<SparseTensor> create(at::Tensor feats, at::Tensor coords, int64_t batch_size);
};

// coords [T, 4] of any integer type -> [T] int64 that order like (sample, x, y, z).
at::Tensor cell_keys(const at::Tensor& coords);

}  // namespace espalier::nn
