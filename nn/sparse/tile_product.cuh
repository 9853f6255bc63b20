#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "nn/sparse/device.cuh"

// Products of matrix tiles by the threads of one block: what the kernels of the sparse convolution are made of.
namespace espalier::nn {

constexpr int kTile = 64;  // a block makes kTile x kTile sums
constexpr int kThreads = 128, kLanes = 32, kWarps = kThreads / kLanes;
constexpr int kFragment = 16;  // side of what a warp's tensor core multiplies at once

template <class T>
constexpr int kPerVector = 16 / static_cast<int>(sizeof(T));  // elements of one access of 16 bytes
template <class T>
constexpr int kDepth = 64 / static_cast<int>(sizeof(T));  // products that a step adds to each sum

constexpr int kSumPitch = kTile + kPerVector<float>;

__device__ inline int thread_index() { return static_cast<int>(threadIdx.x); }

// How many parts of `size` cover `count`.
template <class Count>
__host__ __device__ constexpr Count parts_of(Count count, Count size) {
  return (count + size - 1) / size;
}

// Whether rows of `width` elements can be read 16 bytes at a time.
template <class T>
__device__ bool has_aligned_rows(const T* matrix, int width) {
  return reinterpret_cast<uintptr_t>(matrix) % 16 == 0 && width % kPerVector<T> == 0;
}

// The first `present` elements of a vector, zeros after them.
template <class T>
__device__ uint4 load_vector(const T* from, int present, bool aligned) {
  if (present <= 0) return uint4{0, 0, 0, 0};
  if (aligned) return load_16_bytes(from);
  T elements[kPerVector<T>];
  for (int i = 0; i < kPerVector<T>; ++i) elements[i] = i < present ? from[i] : static_cast<T>(0.F);
  uint4 vector;
  memcpy(&vector, elements, sizeof(vector));
  return vector;
}

// A tile on its way from global to shared memory: each thread holds a share of it.
template <class T, int kHeight, int kWidth>
class StagedTile {
 public:
  using Element = T;
  static constexpr int kPitch = kWidth + kPerVector<T>;  // neighbouring rows start at different banks
  static constexpr int kElements = kHeight * kPitch;

  // Columns first .. first + kWidth of rows that are `width` wide; zeros beyond.
  // row(i): start of the i-th row; nullptr: a row of zeros.
  template <class Row>
  __device__ void load(Row row, int first, int width, bool aligned) {
    for (int i = 0; i < kShare; ++i) {
      const int column = first + column_of(i);
      const T* from = row(row_of(i));
      share_[i] = load_vector(from + column, from == nullptr ? 0 : width - column, aligned);
    }
  }
  __device__ void store(T* tile) const {
    for (int i = 0; i < kShare; ++i) store_16_bytes(tile + row_of(i) * kPitch + column_of(i), share_[i]);
  }

 private:
  static constexpr int kRowVectors = kWidth / kPerVector<T>;
  static constexpr int kShare = kHeight * kRowVectors / kThreads;
  static_assert(kShare * kThreads == kHeight * kRowVectors);

  __device__ static int row_of(int i) { return (thread_index() + i * kThreads) / kRowVectors; }
  __device__ static int column_of(int i) { return (thread_index() + i * kThreads) % kRowVectors * kPerVector<T>; }

  uint4 share_[kShare];
};

// The left matrix of a product in shared memory: a row per row of the sums, or a row per step of the depth.
enum class LeftLayout { kBySum, kByDepth };

template <class T, LeftLayout kLayout>
using LeftTile =
    std::conditional_t<kLayout == LeftLayout::kBySum, StagedTile<T, kTile, kDepth<T>>, StagedTile<T, kDepth<T>, kTile>>;
template <class T>
using RightTile = StagedTile<T, kDepth<T>, kTile>;

// The block's sums, in the registers of its threads. Half types: each warp has a quarter on its tensor core.
template <class T, LeftLayout kLayout>
class TileSum {
 public:
  __device__ TileSum() {
    for (auto& row : sums_) {
      for (auto& sum : row) wmma::fill_fragment(sum, 0.F);
    }
  }

  __device__ void add(const T* left, const T* right) {
    for (int depth = 0; depth < kDepth<T>; depth += kFragment) {
      LeftFragment rows[kSide];
      for (int i = 0; i < kSide; ++i) {
        const int row = first_row() + i * kFragment;
        wmma::load_matrix_sync(rows[i], left + (kIsByDepth ? depth * kLeftPitch + row : row * kLeftPitch + depth),
                               kLeftPitch);
      }
      for (int j = 0; j < kSide; ++j) {
        RightFragment columns;
        wmma::load_matrix_sync(columns, right + depth * kRightPitch + first_column() + j * kFragment, kRightPitch);
        for (int i = 0; i < kSide; ++i) wmma::mma_sync(sums_[i][j], rows[i], columns, sums_[i][j]);
      }
    }
  }

  // to: [kTile, kTile] with pitch kSumPitch.
  __device__ void store(float* to) const {
    for (int i = 0; i < kSide; ++i) {
      for (int j = 0; j < kSide; ++j) {
        float* corner = to + (first_row() + i * kFragment) * kSumPitch + first_column() + j * kFragment;
        wmma::store_matrix_sync(corner, sums_[i][j], kSumPitch, wmma::mem_row_major);
      }
    }
  }

 private:
  static constexpr int kSide = 2;  // fragments: 2 x 2 are a quarter of the tile
  static constexpr bool kIsByDepth = kLayout == LeftLayout::kByDepth;
  static constexpr int kLeftPitch = LeftTile<T, kLayout>::kPitch, kRightPitch = RightTile<T>::kPitch;
  using LeftFragment = wmma::fragment<wmma::matrix_a, kFragment, kFragment, kFragment, T,
                                      std::conditional_t<kIsByDepth, wmma::col_major, wmma::row_major>>;
  using RightFragment = wmma::fragment<wmma::matrix_b, kFragment, kFragment, kFragment, T, wmma::row_major>;

  __device__ static int first_row() { return thread_index() / kLanes / 2 * kSide * kFragment; }
  __device__ static int first_column() { return thread_index() / kLanes % 2 * kSide * kFragment; }

  wmma::fragment<wmma::accumulator, kFragment, kFragment, kFragment, float> sums_[kSide][kSide];
};

// fp32: ordinary multiply-adds, since tensor cores would round the factors to TF32. Each thread has every eighth row of
// four columns: its warp then reads two rows, which lie in different banks, and whole lines of columns.
template <LeftLayout kLayout>
class TileSum<float, kLayout> {
 public:
  __device__ void add(const float* left, const float* right) {
    for (int depth = 0; depth < kDepth<float>; ++depth) {
      float rows[kRows];
      for (int i = 0; i < kRows; ++i) {
        rows[i] = kLayout == LeftLayout::kByDepth ? left[depth * kLeftPitch + row_of(i)]
                                                  : left[row_of(i) * kLeftPitch + depth];
      }
      for (int j = 0; j < kColumns; ++j) {
        const float column = right[depth * kRightPitch + first_column() + j];
        for (int i = 0; i < kRows; ++i) sums_[i][j] += rows[i] * column;
      }
    }
  }

  __device__ void store(float* to) const {
    for (int i = 0; i < kRows; ++i) {
      for (int j = 0; j < kColumns; ++j) to[row_of(i) * kSumPitch + first_column() + j] = sums_[i][j];
    }
  }

 private:
  static constexpr int kColumns = 4, kRowStep = kThreads * kColumns / kTile, kRows = kTile / kRowStep;
  static constexpr int kLeftPitch = LeftTile<float, kLayout>::kPitch, kRightPitch = RightTile<float>::kPitch;

  __device__ static int row_of(int i) { return thread_index() / (kTile / kColumns) + i * kRowStep; }
  __device__ static int first_column() { return thread_index() % (kTile / kColumns) * kColumns; }

  float sums_[kRows][kColumns] = {};
};

// A block's shared memory: two steps' tiles, so that one is filled while the other is multiplied; at the end the sums.
template <class T, LeftLayout kLayout>
union TileMemory {
  struct alignas(32) Step {  // tensor cores load from multiples of 32 bytes
    T left[LeftTile<T, kLayout>::kElements];
    T right[RightTile<T>::kElements];
  };
  Step steps[2];
  float sums[kTile * kSumPitch];
};

// Adds the products of steps begin .. end. load(step, left, right) fetches a step's tiles; a step's fetch runs while
// the step before it is multiplied. All threads must call, and none may still need what is in `memory`.
template <class T, LeftLayout kLayout, class Load>
__device__ void add_steps(int begin, int end, Load load, TileMemory<T, kLayout>& memory, TileSum<T, kLayout>& sum) {
  LeftTile<T, kLayout> left;
  RightTile<T> right;
  if (begin < end) load(begin, left, right);
  for (int step = begin; step < end; ++step) {
    auto& tiles = memory.steps[step % 2];
    left.store(tiles.left);
    right.store(tiles.right);
    // One barrier a step is enough: who passes it has multiplied the step before, whose tiles are filled next.
    __syncthreads();
    if (step + 1 < end) load(step + 1, left, right);
    sum.add(tiles.left, tiles.right);
  }
}

// Makes the block's sums visible to all its threads: [kTile, kTile] with pitch kSumPitch.
template <class T, LeftLayout kLayout>
__device__ const float* share_sums(const TileSum<T, kLayout>& sum, TileMemory<T, kLayout>& memory) {
  __syncthreads();  // the tiles, which share the memory, must all have been multiplied
  sum.store(memory.sums);
  __syncthreads();
  return memory.sums;
}

}  // namespace espalier::nn
