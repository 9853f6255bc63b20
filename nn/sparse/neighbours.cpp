#include <torch/types.h>

#include <algorithm>
#include <array>
#include <vector>

#include "nn/layers/parallel.h"
#include "nn/sparse/conv_cuda.h"
#include "nn/sparse/ops.h"

namespace espalier::nn {
namespace {

constexpr int kOffsets = 27;
constexpr int64_t kRowGrain = 2048;

// Blocks of 4 x 4 x 4 cells: a cell and its 26 neighbours lie in 3.4 of them on average, and a block of a surface is
// dense enough to waste little.
constexpr int kBlockShift = 2, kBlockMask = 3;
using Block = std::array<int32_t, 64>;  // rows, -1 where no cell is occupied

uint64_t block_key(int sample, int bx, int by, int bz) {
  return static_cast<uint64_t>(sample) << 48 | static_cast<uint64_t>(bx) << 32 | static_cast<uint64_t>(by) << 16 |
         static_cast<uint64_t>(bz);
}

int cell_in_block(int x, int y, int z) { return (x & kBlockMask) << 4 | (y & kBlockMask) << 2 | (z & kBlockMask); }

// Cells -> rows: blocks found by open addressing, in a table at most half full.
class CellTable {
 public:
  CellTable(const int* coords, int64_t rows) {
    resize(10);
    for (int64_t t = 0; t < rows; ++t, coords += 4) {
      Block& block =
          insert(block_key(coords[0], coords[1] >> kBlockShift, coords[2] >> kBlockShift, coords[3] >> kBlockShift));
      block[cell_in_block(coords[1], coords[2], coords[3])] = static_cast<int32_t>(t);
    }
  }

  // nullptr: no cell of the block is occupied.
  const Block* find(uint64_t key) const {
    const int32_t at = slots_[slot_of(key)];
    return at < 0 ? nullptr : &blocks_[static_cast<size_t>(at)];
  }

 private:
  Block& insert(uint64_t key) {
    size_t slot = slot_of(key);
    if (slots_[slot] >= 0) return blocks_[static_cast<size_t>(slots_[slot])];
    if (2 * (keys_.size() + 1) > slots_.size()) {
      resize(bits_ + 1);
      slot = slot_of(key);
    }
    slots_[slot] = static_cast<int32_t>(keys_.size());
    keys_.push_back(key);
    blocks_.emplace_back().fill(-1);
    return blocks_.back();
  }

  // Where the key is, or where it would be put.
  size_t slot_of(uint64_t key) const {
    size_t i = key * 0x9E3779B97F4A7C15ull >> (64 - bits_);
    while (slots_[i] >= 0 && keys_[static_cast<size_t>(slots_[i])] != key) i = (i + 1) & (slots_.size() - 1);
    return i;
  }

  void resize(int bits) {
    bits_ = bits;
    slots_.assign(size_t{1} << bits, -1);
    for (size_t i = 0; i < keys_.size(); ++i) slots_[slot_of(keys_[i])] = static_cast<int32_t>(i);
  }

  int bits_ = 0;
  std::vector<int32_t> slots_;  // index of a block, or -1
  std::vector<uint64_t> keys_;  // of the blocks
  std::vector<Block> blocks_;
};

// The blocks that the neighbourhood of a cell touches: at most two per axis.
class Neighbourhood {
 public:
  Neighbourhood(const CellTable& table, const int* cell) : cell_(cell) {
    for (int i = 0; i < 8; ++i) {
      std::array<int, 3> block;
      bool wanted = true;
      for (int axis = 0; axis < 3; ++axis) {
        const int low = (cell[axis + 1] - 1) >> kBlockShift, high = (cell[axis + 1] + 1) >> kBlockShift;
        const bool upper = i >> axis & 1;
        block[axis] = upper ? high : low;
        wanted &= block[axis] >= 0 && !(upper && high == low) && block[axis] < kSparseCoordLimit >> kBlockShift;
      }
      blocks_[i] = wanted ? table.find(block_key(cell[0], block[0], block[1], block[2])) : nullptr;
    }
  }

  int32_t row(int dx, int dy, int dz) const {
    const int x = cell_[1] + dx, y = cell_[2] + dy, z = cell_[3] + dz;
    const Block* block = blocks_[upper(x, 1) | upper(y, 2) << 1 | upper(z, 3) << 2];
    return block ? (*block)[cell_in_block(x, y, z)] : -1;
  }

 private:
  int upper(int value, int axis) const { return value >> kBlockShift != (cell_[axis] - 1) >> kBlockShift; }

  const int* cell_;
  std::array<const Block*, 8> blocks_;
};

at::Tensor make_map(const SparseTensor& x) {
  if (has_cuda_kernels(x.coords.device())) return neighbour_map_cuda(x.coords.contiguous());
  const at::Tensor host = x.coords.to(at::kCPU).contiguous();
  const int64_t rows = host.size(0);
  TORCH_CHECK(rows < INT32_MAX, "too many rows for a neighbour map: ", rows);
  const int* coords = host.const_data_ptr<int>();
  const CellTable table(coords, rows);
  const at::Tensor map = torch::empty({rows, kOffsets}, at::kInt);
  int32_t* out = map.mutable_data_ptr<int32_t>();
  parallel_for(rows, kRowGrain, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const Neighbourhood around(table, coords + 4 * t);
      for (int v = 0; v < kOffsets; ++v) out[kOffsets * t + v] = around.row(v / 9 - 1, v / 3 % 3 - 1, v % 3 - 1);
    }
  });
  return map.to(x.coords.device());
}

}  // namespace

at::Tensor neighbour_map(const SparseTensor& x) {
  std::call_once(x.cache->neighbours_once, [&] { x.cache->neighbours = make_map(x); });
  return x.cache->neighbours;
}

at::Tensor sorted_rows(const at::Tensor& neighbours) {
  const at::Tensor bits =
      at::ones({kOffsets}, neighbours.options()).bitwise_left_shift(at::arange(kOffsets, neighbours.options()));
  const at::Tensor present = neighbours.ge(0).to(at::kInt).mul_(bits).sum(1, /*keepdim=*/false, at::kInt);
  // Stable: rows with the same neighbours stay in their order, in which they are close in space.
  return std::get<1>(at::sort(present, /*stable=*/true, /*dim=*/0, /*descending=*/false)).to(at::kInt);
}

at::Tensor row_order(const SparseTensor& x) {
  std::call_once(x.cache->order_once, [&] { x.cache->order = sorted_rows(neighbour_map(x)); });
  return x.cache->order;
}

}  // namespace espalier::nn
