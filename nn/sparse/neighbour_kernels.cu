#include <cstdint>

#include "nn/sparse/conv_cpu.h"
#include "nn/sparse/conv_launch.h"
#include "nn/sparse/device.cuh"

namespace espalier::nn {
namespace {

using Key = unsigned long long;  // the type that CUDA compares and swaps

constexpr int kBlockThreads = 128;
constexpr Key kFree = ~Key{0};  // no cell's: samples have 15 bits
constexpr int kCoordBits = 16, kCoordLimit = 1 << kCoordBits;

__device__ int64_t global_thread() { return int64_t{blockIdx.x} * kBlockThreads + threadIdx.x; }

__device__ Key key_of(int sample, int x, int y, int z) {
  return ((static_cast<Key>(sample) << kCoordBits | static_cast<Key>(x)) << kCoordBits | static_cast<Key>(y))
             << kCoordBits |
         static_cast<Key>(z);
}

// The slot in which the search for a key begins: the upper bits of a product mix all the key's bits.
__device__ int64_t first_slot(Key key, int bits) {
  return static_cast<int64_t>(key * 0x9E3779B97F4A7C15ULL >> (64 - bits));
}

// Each cell's row into a table with open addressing. Which slot a cell gets depends on who comes first; what is found
// in the table later does not.
__global__ void __launch_bounds__(kBlockThreads) insert_cells(const NeighbourMapCall call) {
  const int64_t row = global_thread();
  if (row >= call.rows) return;
  const int32_t* cell = call.coords + 4 * row;
  const Key key = key_of(cell[0], cell[1], cell[2], cell[3]);
  const int64_t last = (int64_t{1} << call.table_bits) - 1;
  int64_t slot = first_slot(key, call.table_bits);
  while (atomicCAS(call.table_keys + slot, kFree, key) != kFree) slot = (slot + 1) & last;
  call.table_rows[slot] = static_cast<int32_t>(row);
}

// One entry of the map per thread.
__global__ void __launch_bounds__(kBlockThreads) look_up_neighbours(const NeighbourMapCall call) {
  const int64_t i = global_thread(), row = i / kKernelOffsets;
  if (row >= call.rows) return;
  const int offset = static_cast<int>(i % kKernelOffsets);
  const int32_t* cell = call.coords + 4 * row;
  const int x = cell[1] + offset / 9 - 1, y = cell[2] + offset / 3 % 3 - 1, z = cell[3] + offset % 3 - 1;
  int32_t found = -1;
  if (min(x, min(y, z)) >= 0 && max(x, max(y, z)) < kCoordLimit) {
    const Key key = key_of(cell[0], x, y, z);
    const int64_t last = (int64_t{1} << call.table_bits) - 1;
    int64_t slot = first_slot(key, call.table_bits);
    while (call.table_keys[slot] != key && call.table_keys[slot] != kFree) slot = (slot + 1) & last;
    if (call.table_keys[slot] == key) found = call.table_rows[slot];
  }
  call.map[i] = found;
}

dim3 blocks_for(int64_t threads) {
  return dim3(static_cast<unsigned>((threads + kBlockThreads - 1) / kBlockThreads), 1);
}

}  // namespace

void launch_neighbour_map(const NeighbourMapCall& call, void* stream) {
  launch(insert_cells, blocks_for(call.rows), kBlockThreads, stream, call);
  launch(look_up_neighbours, blocks_for(call.rows * kKernelOffsets), kBlockThreads, stream, call);
}

}  // namespace espalier::nn
