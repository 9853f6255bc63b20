#include <torch/types.h>

#include "nn/sparse/ops.h"

namespace espalier::nn {
namespace {

constexpr int64_t kSide = kSparseCoordLimit;
constexpr int64_t kChildren = 8;

at::Tensor slots_of(const at::Tensor& coords) {  // [T, 4] int64 -> [T]
  const at::Tensor bits = coords.bitwise_and(1);
  return bits.select(1, 1) + 2 * bits.select(1, 2) + 4 * bits.select(1, 3);
}

std::vector<int64_t> sample_offsets(const at::Tensor& samples, int64_t batch_size) {
  const at::Tensor counts = at::bincount(samples, {}, batch_size).to(at::kCPU).contiguous();
  std::vector<int64_t> offsets{0};
  for (int64_t b = 0; b < batch_size; ++b) offsets.push_back(offsets.back() + counts.const_data_ptr<int64_t>()[b]);
  return offsets;
}

}  // namespace

ParentMap parent_map(const SparseTensor& x) {
  const at::Tensor coords = x.coords.to(at::kLong);
  const at::Tensor halved = at::cat({coords.narrow(1, 0, 1), coords.narrow(1, 1, 3).bitwise_right_shift(1)}, 1);
  const auto [unique, inverse, counts] = at::_unique2(cell_keys(halved), /*sorted=*/true, /*return_inverse=*/true);
  const auto digit = [&, &keys = unique](int64_t shift) {
    return keys.bitwise_right_shift(shift).bitwise_and(kSide - 1);
  };
  const at::Tensor sample = unique.bitwise_right_shift(48);
  ParentMap map;
  map.coords = at::stack({sample, digit(32), digit(16), digit(0)}, 1).to(at::kInt);
  map.offsets = sample_offsets(sample, x.batch_size());
  map.parent = inverse;
  map.slot = slots_of(coords);
  return map;
}

SparseTensor space_to_channel(const at::Tensor& feats, const ParentMap& map) {
  const int64_t parents = map.coords.size(0), channels = feats.size(1);
  const at::Tensor empty = torch::zeros({parents * kChildren, channels}, feats.options());
  const at::Tensor filled = empty.index_copy(0, map.parent * kChildren + map.slot, feats);
  return {filled.view({parents, kChildren * channels}), map.coords, map.offsets};
}

SparseTensor mean_pool(const at::Tensor& feats, const ParentMap& map) {
  const int64_t parents = map.coords.size(0);
  const at::Tensor sum = torch::zeros({parents, feats.size(1)}, feats.options()).index_add(0, map.parent, feats);
  const at::Tensor count = at::bincount(map.parent, {}, parents).to(feats.scalar_type());
  return {sum / count.unsqueeze(1), map.coords, map.offsets};
}

ChildMap child_map(const SparseTensor& x, const at::Tensor& subdivision) {
  TORCH_CHECK(subdivision.dim() == 2 && subdivision.size(0) == x.coords.size(0) && subdivision.size(1) == kChildren,
              "subdivision must be [", x.coords.size(0), ", 8], got ", subdivision.sizes());
  const at::Tensor index = at::nonzero(subdivision);  // row by row, so slots ascend within a parent
  ChildMap map;
  map.parent = index.select(1, 0);
  map.slot = index.select(1, 1);
  const at::Tensor parents = x.coords.to(at::kLong).index_select(0, map.parent);
  const auto child = [&](int64_t axis) {
    return parents.select(1, axis) * 2 + map.slot.bitwise_right_shift(axis - 1).bitwise_and(1);
  };
  map.coords = at::stack({parents.select(1, 0), child(1), child(2), child(3)}, 1).to(at::kInt);
  map.offsets = sample_offsets(parents.select(1, 0), x.batch_size());
  return map;
}

SparseTensor channel_to_space(const at::Tensor& feats, const ChildMap& map) {
  TORCH_CHECK(feats.size(1) % kChildren == 0, "channels must be a multiple of 8, got ", feats.sizes());
  const at::Tensor cells = feats.reshape({feats.size(0) * kChildren, feats.size(1) / kChildren});
  return {cells.index_select(0, map.parent * kChildren + map.slot), map.coords, map.offsets};
}

SparseTensor nearest_upsample(const at::Tensor& feats, const ChildMap& map) {
  return {feats.index_select(0, map.parent), map.coords, map.offsets};
}

}  // namespace espalier::nn
