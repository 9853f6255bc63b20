#include "nn/sparse/sparse_tensor.h"

#include <torch/types.h>

#include <utility>

#include "absl/strings/str_cat.h"

namespace espalier::nn {
namespace {

constexpr int kLargestCoord = kSparseCoordLimit - 1;

}  // namespace

Result<SparseTensor> SparseTensor::create(at::Tensor feats, at::Tensor coords, int64_t batch_size) {
  if (coords.dim() != 2 || coords.size(1) != 4 || coords.scalar_type() != at::kInt) {
    return absl::InvalidArgumentError("coords must be [T, 4] int32");
  }
  if (feats.dim() < 1 || feats.size(0) != coords.size(0)) {
    return absl::InvalidArgumentError(absl::StrCat("feats and coords must have as many rows, ", coords.size(0)));
  }
  if (batch_size < 1 || batch_size > kSparseBatchLimit) {
    return absl::InvalidArgumentError(absl::StrCat("the batch size must be 1 to ", kSparseBatchLimit));
  }
  const at::Tensor host = coords.to(at::kCPU).contiguous();
  const int* row = host.const_data_ptr<int>();
  std::vector<int64_t> offsets(batch_size + 1, 0);
  int sample = 0;
  for (int64_t i = 0; i < host.size(0); ++i, row += 4) {
    if (row[0] < sample || row[0] >= batch_size) {
      return absl::InvalidArgumentError(
          absl::StrCat("coords row ", i, ": sample ", row[0], " must ascend and stay below ", batch_size));
    }
    sample = row[0];
    for (int axis = 1; axis < 4; ++axis) {
      if (row[axis] < 0 || row[axis] > kLargestCoord) {
        return absl::InvalidArgumentError(
            absl::StrCat("coords row ", i, ": ", row[axis], " is outside 0..", kLargestCoord));
      }
    }
    ++offsets[sample + 1];
  }
  for (int64_t b = 0; b < batch_size; ++b) offsets[b + 1] += offsets[b];
  return SparseTensor{std::move(feats), std::move(coords), std::move(offsets)};
}

at::Tensor cell_keys(const at::Tensor& coords) {
  const at::Tensor wide = coords.to(at::kLong);
  at::Tensor key = wide.select(1, 0).clone();
  for (int64_t axis = 1; axis < 4; ++axis) key.mul_(kSparseCoordLimit).add_(wide.select(1, axis));
  return key;
}

}  // namespace espalier::nn
