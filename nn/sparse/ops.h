#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "nn/sparse/sparse_tensor.h"

// Operators on sparse voxel features. All are differentiable in the features; coordinates are plain data.
// All run on the device of their tensors. On a GPU the sums of mean_pool() and of nearest_upsample()'s gradient are
// added in no fixed order; all else gives the same bits in every run.
namespace espalier::nn {

// Rows of the 27 neighbours of each row, [T, 27] int32: entry [t, (i*3+j)*3+k] is the row of the same sample at
// (x+i-1, y+j-1, z+k-1), or -1. Made once per level and kept in x.cache. Thread-safe. No two rows may share a cell.
// Made on x's device by the CPU or a GPU; devices without kernels get what the CPU makes of a copy.
at::Tensor neighbour_map(const SparseTensor& x);

// The rows of a neighbour map [T, 27] in the order of which of the 27 neighbours they have, [T] int32: rows that follow
// each other mostly lack the same ones, which a GPU's block can then skip for all its rows.
at::Tensor sorted_rows(const at::Tensor& neighbours);
// sorted_rows() of x's neighbour map, made once per level and kept in x.cache. Thread-safe.
at::Tensor row_order(const SparseTensor& x);

// Submanifold 3x3x3 convolution: same sites in and out, absent neighbours contribute nothing.
//   feats [T, Ci], neighbours from neighbour_map(), weight [Co, 3, 3, 3, Ci] (axes x, y, z), bias [Co] or undefined
//   returns [T, Co] in feats' type; half types are accumulated in fp32 over all 27 offsets.
// Reference: TRELLIS.2 trellis2/modules/sparse/conv/conv_flex_gemm.py.
at::Tensor submanifold_conv(const at::Tensor& feats, const at::Tensor& neighbours, const at::Tensor& weight,
                            const at::Tensor& bias);
// The same on x's features and cells; what a GPU's kernel derives from the neighbours is kept in x.cache too.
SparseTensor submanifold_conv(const SparseTensor& x, const at::Tensor& weight, const at::Tensor& bias);

// Where the rows of a tensor go when cells merge 2x2x2.
struct ParentMap {
  at::Tensor coords;             // [N, 4] int32 parents, ascending by (sample, x, y, z)
  std::vector<int64_t> offsets;  // batch size + 1
  at::Tensor parent;             // [T] int64: the parent's row of each row
  at::Tensor slot;               // [T] int64: (x&1) + 2*(y&1) + 4*(z&1)
};
ParentMap parent_map(const SparseTensor& x);

// feats [T, C] -> [N, 8C]: channels slot by slot, zeros where a child is absent.
// Reference: TRELLIS.2 trellis2/modules/sparse/spatial/spatial2channel.py, SparseSpatial2Channel.
SparseTensor space_to_channel(const at::Tensor& feats, const ParentMap& map);
// feats [T, C] -> [N, C]: mean of the existing children. Reference: .../spatial/basic.py, SparseDownsample.
SparseTensor mean_pool(const at::Tensor& feats, const ParentMap& map);

// The children of a subdivision: parent by parent, slots ascending.
struct ChildMap {
  at::Tensor coords;             // [M, 4] int32
  std::vector<int64_t> offsets;  // batch size + 1
  at::Tensor parent;             // [M] int64
  at::Tensor slot;               // [M] int64
};
// `subdivision` [N, 8] bool: which children exist. Parents without any vanish.
ChildMap child_map(const SparseTensor& x, const at::Tensor& subdivision);

// What leads a decoder from the cells an encoder ends on back to the encoder's voxels, for training it.
struct Guide {
  std::vector<at::Tensor> subdivisions;  // coarsest level first, [N_level, 8] bool on the decoder's rows
  at::Tensor order;                      // [T] int64: the decoder's voxel i is row order[i] of x
};
// `levels`: how often cells merge 2x2x2.
Guide guide_to(const SparseTensor& x, int64_t levels);

// feats [N, 8C] -> [M, C]: each child takes its slot's channels.
SparseTensor channel_to_space(const at::Tensor& feats, const ChildMap& map);
// feats [N, C] -> [M, C]: each child copies its parent.
SparseTensor nearest_upsample(const at::Tensor& feats, const ChildMap& map);

}  // namespace espalier::nn
