#include <ATen/Parallel.h>
#include <torch/types.h>

#include <vector>

#include "nn/sparse/ops.h"

namespace espalier::nn {
namespace {

constexpr int kOffsets = 27;
constexpr int64_t kRowGrain = 2048;

uint64_t pack(int sample, int x, int y, int z) {
  return static_cast<uint64_t>(sample) << 48 | static_cast<uint64_t>(x) << 32 | static_cast<uint64_t>(y) << 16 |
         static_cast<uint64_t>(z);
}

// Cell -> row by open addressing, at most half full.
class CellTable {
 public:
  explicit CellTable(int64_t rows) {
    int bits = 4;
    while ((int64_t{1} << bits) < 2 * rows) ++bits;
    shift_ = 64 - bits;
    keys_.assign(size_t{1} << bits, 0);
    rows_.assign(size_t{1} << bits, -1);
  }

  void insert(uint64_t key, int32_t row) {
    size_t i = slot(key);
    while (rows_[i] >= 0 && keys_[i] != key) i = (i + 1) & (keys_.size() - 1);
    keys_[i] = key;
    rows_[i] = row;
  }

  int32_t find(uint64_t key) const {
    size_t i = slot(key);
    while (rows_[i] >= 0 && keys_[i] != key) i = (i + 1) & (keys_.size() - 1);
    return rows_[i];
  }

 private:
  size_t slot(uint64_t key) const { return key * 0x9E3779B97F4A7C15ull >> shift_; }

  int shift_;
  std::vector<uint64_t> keys_;
  std::vector<int32_t> rows_;
};

void find_neighbours(const int* coords, int64_t row, const CellTable& table, int32_t* out) {
  const int* c = coords + 4 * row;
  for (int v = 0; v < kOffsets; ++v) {
    const int x = c[1] + v / 9 - 1, y = c[2] + v / 3 % 3 - 1, z = c[3] + v % 3 - 1;
    const bool inside = static_cast<unsigned>(x) < kSparseCoordLimit && static_cast<unsigned>(y) < kSparseCoordLimit &&
                        static_cast<unsigned>(z) < kSparseCoordLimit;
    out[v] = inside ? table.find(pack(c[0], x, y, z)) : -1;
  }
}

}  // namespace

at::Tensor neighbour_map(const SparseTensor& x) {
  const at::Tensor host = x.coords.to(at::kCPU).contiguous();
  const int64_t rows = host.size(0);
  TORCH_CHECK(rows < INT32_MAX, "too many rows for a neighbour map: ", rows);
  const int* coords = host.const_data_ptr<int>();
  CellTable table(rows);
  for (int64_t t = 0; t < rows; ++t) {
    const int* c = coords + 4 * t;
    table.insert(pack(c[0], c[1], c[2], c[3]), static_cast<int32_t>(t));
  }
  const at::Tensor map = torch::empty({rows, kOffsets}, at::kInt);
  int32_t* out = map.mutable_data_ptr<int32_t>();
  at::parallel_for(0, rows, kRowGrain, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) find_neighbours(coords, t, table, out + kOffsets * t);
  });
  return map.to(x.coords.device());
}

}  // namespace espalier::nn
