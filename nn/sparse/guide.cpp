#include <torch/types.h>

#include "nn/sparse/ops.h"

namespace espalier::nn {
namespace {

SparseTensor cells_only(const at::Tensor& coords, const std::vector<int64_t>& offsets) {
  return {torch::empty({coords.size(0), 0}), coords, offsets};
}

// The position of each row when rows are sorted by (sample, x, y, z).
at::Tensor ranks(const at::Tensor& coords) {
  return std::get<1>(at::_unique2(cell_keys(coords), /*sorted=*/true, /*return_inverse=*/true));
}

}  // namespace

// An encoder's cells are sorted on every level; a decoder lists children parent by parent. So one cell stands in
// different rows here and there, and its rank among the sorted cells is what both sides know it by.
Guide guide_to(const SparseTensor& x, int64_t levels) {
  std::vector<ParentMap> maps;  // finest first
  for (int64_t i = 0; i < levels; ++i) {
    maps.push_back(parent_map(maps.empty() ? x : cells_only(maps.back().coords, maps.back().offsets)));
  }
  Guide guide;
  // The coarsest cells come sorted from the encoder; below them the decoder lists children parent by parent.
  SparseTensor level = maps.empty() ? x : cells_only(maps.back().coords, maps.back().offsets);
  for (auto map = maps.rbegin(); map != maps.rend(); ++map) {
    const int64_t parents = map->coords.size(0);
    const at::Tensor present = torch::zeros({parents * 8}, at::TensorOptions(at::kBool).device(x.coords.device()))
                                   .index_fill(0, map->parent * 8 + map->slot, true)
                                   .view({parents, 8});
    guide.subdivisions.push_back(present.index_select(0, ranks(level.coords)));
    const ChildMap children = child_map(level, guide.subdivisions.back());
    level = cells_only(children.coords, children.offsets);
  }
  // Row i of the decoder and row order[i] of x have the same rank.
  guide.order = ranks(x.coords).argsort().index_select(0, ranks(level.coords));
  return guide;
}

}  // namespace espalier::nn
