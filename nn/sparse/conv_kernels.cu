#include <algorithm>

#include "nn/sparse/conv_cpu.h"
#include "nn/sparse/conv_launch.h"
#include "nn/sparse/tile_product.cuh"

namespace espalier::nn {
namespace {

constexpr int kOffsets = static_cast<int>(kKernelOffsets);
constexpr int kBatchRows = 1024;  // whose neighbours at one offset are listed at a time

// Blocks that fill the GPUs there are. Constants: sums must not be split differently on another GPU.
constexpr int64_t kConvolutionBlocks = 512, kGradientBlocks = 1024;
constexpr int64_t kSplitProducts = 256;  // of a sum's up to 27 K products, that a part is worth its memory for

// The rows that a block convolves, in shared memory.
struct TileRows {
  int32_t row[kTile];                // -1: beyond the last
  int32_t source[kTile * kOffsets];  // -1: absent
  unsigned present;                  // bit v: some row has a neighbour at offset v
  int offset[kOffsets];              // those offsets, ascending
};

// Returns the number of offsets at which any row has a neighbour.
__device__ int find_neighbours(const ConvolutionCall& call, int64_t first, TileRows& tile) {
  const int thread = thread_index();
  if (thread == 0) tile.present = 0;
  if (thread < kTile) tile.row[thread] = first + thread < call.rows ? call.order[first + thread] : -1;
  __syncthreads();
  unsigned present = 0;
  for (int i = thread; i < kTile * kOffsets; i += kThreads) {
    const int row = tile.row[i / kOffsets], offset = i % kOffsets;
    tile.source[i] = row < 0 ? -1 : call.map[int64_t{row} * kOffsets + offset];
    if (tile.source[i] >= 0) present |= 1U << offset;
  }
  atomicOr(&tile.present, present);  // of bits: the order does not matter
  __syncthreads();
  if (thread < kOffsets && (tile.present >> thread & 1) != 0) {
    tile.offset[__popc(tile.present & ((1U << thread) - 1))] = thread;
  }
  __syncthreads();
  return __popc(tile.present);
}

// kTile rows by kTile channels of the result, or one part of their sums. Blocks of the same rows follow each other, so
// that the rows' features are still in the cache; the part is blockIdx.y.
template <class T>
__global__ void __launch_bounds__(kThreads) convolve_tile(const ConvolutionCall call) {
  __shared__ TileMemory<T, LeftLayout::kBySum> memory;
  __shared__ TileRows tile;
  const int columns = parts_of(call.out, kTile), block = static_cast<int>(blockIdx.x);
  const int first_column = block % columns * kTile;
  const int part = static_cast<int>(blockIdx.y);
  const int offsets = find_neighbours(call, int64_t{block / columns} * kTile, tile);

  const auto* feats = static_cast<const T*>(call.feats);
  const auto* kernel = static_cast<const T*>(call.kernel);
  const bool feats_aligned = has_aligned_rows(feats, call.in), kernel_aligned = has_aligned_rows(kernel, call.out);
  // A step is kDepth input channels at one of the offsets.
  const int chunks = parts_of(call.in, kDepth<T>);
  const int64_t steps = int64_t{offsets} * chunks;
  TileSum<T, LeftLayout::kBySum> sum;
  add_steps(
      static_cast<int>(steps * part / call.splits), static_cast<int>(steps * (part + 1) / call.splits),
      [&](int step, auto& left, auto& right) {
        const int offset = tile.offset[step / chunks], channel = step % chunks * kDepth<T>;
        const auto feats_of = [&](int i) -> const T* {
          const int source = tile.source[i * kOffsets + offset];
          return source < 0 ? nullptr : feats + int64_t{source} * call.in;
        };
        const auto kernel_of = [&](int i) -> const T* {
          const int64_t row = int64_t{offset} * call.in + channel + i;
          return channel + i < call.in ? kernel + row * call.out : nullptr;
        };
        left.load(feats_of, channel, call.in, feats_aligned);
        right.load(kernel_of, first_column, call.out, kernel_aligned);
      },
      memory, sum);

  const float* sums = share_sums(sum, memory);
  for (int i = thread_index(); i < kTile * kTile; i += kThreads) {
    const int row = tile.row[i / kTile], column = first_column + i % kTile;
    if (row < 0 || column >= call.out) continue;
    const float value = sums[i / kTile * kSumPitch + i % kTile];
    const int64_t at = int64_t{row} * call.out + column;
    if (call.splits > 1) {
      call.parts[part * call.rows * call.out + at] = value;
    } else {
      const auto* bias = static_cast<const T*>(call.bias);
      static_cast<T*>(call.result)[at] =
          static_cast<T>(bias == nullptr ? value : value + static_cast<float>(bias[column]));
    }
  }
}

// The rows of a batch that have a neighbour at one offset, in shared memory.
struct Pairs {
  int32_t row[kBatchRows], source[kBatchRows];
  int counts[kBatchRows / kLanes];  // of each warp's turns
};

// Lists the pairs of rows first .. end, at most kBatchRows, in the order of rows; returns how many there are.
__device__ int list_pairs(const int32_t* map, int64_t first, int64_t end, int offset, Pairs& pairs) {
  constexpr int kTurns = kBatchRows / kThreads;
  const int thread = thread_index(), warp = thread / kLanes, lane = thread % kLanes;
  int32_t sources[kTurns];
  unsigned present[kTurns];
  for (int turn = 0; turn < kTurns; ++turn) {
    const int64_t row = first + turn * kThreads + thread;
    sources[turn] = row < end ? map[row * kOffsets + offset] : -1;
    present[turn] = __ballot_sync(~0U, sources[turn] >= 0);
    if (lane == 0) pairs.counts[turn * kWarps + warp] = __popc(present[turn]);
  }
  __syncthreads();
  int before = 0;
  for (int turn = 0; turn < kTurns; ++turn) {
    for (int w = 0; w < kWarps; ++w) {
      if (w == warp && sources[turn] >= 0) {
        const int at = before + __popc(present[turn] & ((1U << lane) - 1));
        pairs.row[at] = static_cast<int32_t>(first + turn * kThreads + thread);
        pairs.source[at] = sources[turn];
      }
      before += pairs.counts[turn * kWarps + w];
    }
  }
  __syncthreads();
  return before;
}

// kTile output by kTile input channels of one offset's gradient, from one part of the rows, which is blockIdx.y.
template <class T>
__global__ void __launch_bounds__(kThreads) weight_gradient_tile(const WeightGradientCall call) {
  __shared__ TileMemory<T, LeftLayout::kByDepth> memory;
  __shared__ Pairs pairs;
  const int columns = parts_of(call.in, kTile), heights = parts_of(call.out, kTile);
  const int block = static_cast<int>(blockIdx.x), part = static_cast<int>(blockIdx.y);
  const int first_in = block % columns * kTile, first_out = block / columns % heights * kTile;
  const int offset = block / columns / heights;
  const int64_t batches = parts_of(call.rows, int64_t{kBatchRows});
  const int64_t end = min(call.rows, batches * (part + 1) / call.splits * kBatchRows);

  const auto* grad = static_cast<const T*>(call.grad);
  const auto* feats = static_cast<const T*>(call.feats);
  const bool grad_aligned = has_aligned_rows(grad, call.out), feats_aligned = has_aligned_rows(feats, call.in);
  TileSum<T, LeftLayout::kByDepth> sum;
  for (int64_t first = batches * part / call.splits * kBatchRows; first < end; first += kBatchRows) {
    const int count = list_pairs(call.map, first, min(end, first + kBatchRows), offset, pairs);
    add_steps(
        0, parts_of(count, kDepth<T>),
        [&](int step, auto& left, auto& right) {
          const int begin = step * kDepth<T>;
          const auto grad_of = [&](int i) -> const T* {
            return begin + i < count ? grad + int64_t{pairs.row[begin + i]} * call.out : nullptr;
          };
          const auto feats_of = [&](int i) -> const T* {
            return begin + i < count ? feats + int64_t{pairs.source[begin + i]} * call.in : nullptr;
          };
          left.load(grad_of, first_out, call.out, grad_aligned);
          right.load(feats_of, first_in, call.in, feats_aligned);
        },
        memory, sum);
  }

  float* to = call.splits > 1 ? call.parts + int64_t{part} * kOffsets * call.out * call.in : call.result;
  const float* sums = share_sums(sum, memory);
  for (int i = thread_index(); i < kTile * kTile; i += kThreads) {
    const int out = first_out + i / kTile, in = first_in + i % kTile;
    if (out < call.out && in < call.in) {
      to[(int64_t{offset} * call.out + out) * call.in + in] = sums[i / kTile * kSumPitch + i % kTile];
    }
  }
}

// result[i] = bias[i % channels] + the sum of the parts' i-th elements, in the order of the parts.
template <class T>
__global__ void __launch_bounds__(kThreads)
    add_parts(const float* parts, int splits, int64_t count, const T* bias, int channels, T* result) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + thread_index();
  if (i >= count) return;
  float sum = parts[i];
  for (int part = 1; part < splits; ++part) sum += parts[part * count + i];
  if (bias != nullptr) sum += static_cast<float>(bias[i % channels]);
  result[i] = static_cast<T>(sum);
}

// As many parts as make up `wanted` blocks, 1 to `most`.
int splits_for(int64_t blocks, int64_t wanted, int64_t most) {
  return static_cast<int>(std::clamp<int64_t>(wanted / blocks, 1, most));
}

int64_t convolution_blocks(int64_t rows, int out) { return parts_of(rows, int64_t{kTile}) * parts_of(out, kTile); }

int64_t gradient_blocks(int in, int out) { return int64_t{kOffsets} * parts_of(in, kTile) * parts_of(out, kTile); }

dim3 grid(int64_t blocks, int parts) { return dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(parts)); }

template <class T>
void add_parts_of(const float* parts, int splits, int64_t count, const void* bias, int channels, void* result,
                  void* stream) {
  launch(add_parts<T>, grid(parts_of(count, int64_t{kThreads}), 1), kThreads, stream, parts, splits, count,
         static_cast<const T*>(bias), channels, static_cast<T*>(result));
}

template <class T>
void convolve(const ConvolutionCall& call, void* stream) {
  launch(convolve_tile<T>, grid(convolution_blocks(call.rows, call.out), call.splits), kThreads, stream, call);
  if (call.splits > 1) {
    add_parts_of<T>(call.parts, call.splits, call.rows * call.out, call.bias, call.out, call.result, stream);
  }
}

template <class T>
void weight_gradient(const WeightGradientCall& call, void* stream) {
  launch(weight_gradient_tile<T>, grid(gradient_blocks(call.in, call.out), call.splits), kThreads, stream, call);
  if (call.splits > 1) {
    add_parts_of<float>(call.parts, call.splits, int64_t{kOffsets} * call.out * call.in, nullptr, call.in, call.result,
                        stream);
  }
}

}  // namespace

std::optional<c10::DeviceType> kernel_device() { return kDevice; }

int convolution_splits(int64_t rows, int in, int out) {
  const int64_t most = std::max<int64_t>(1, int64_t{kOffsets} * in / kSplitProducts);
  return splits_for(convolution_blocks(rows, out), kConvolutionBlocks, most);
}

int weight_gradient_splits(int64_t rows, int in, int out) {
  return splits_for(gradient_blocks(in, out), kGradientBlocks, parts_of(rows, int64_t{kBatchRows}));
}

void launch_convolution(const ConvolutionCall& call, void* stream) {
  switch (call.type) {
    case ElementType::kFloat:
      return convolve<float>(call, stream);
    case ElementType::kHalf:
      return convolve<Half>(call, stream);
    case ElementType::kBFloat16:
      return convolve<BFloat16>(call, stream);
  }
}

void launch_weight_gradient(const WeightGradientCall& call, void* stream) {
  switch (call.type) {
    case ElementType::kFloat:
      return weight_gradient<float>(call, stream);
    case ElementType::kHalf:
      return weight_gradient<Half>(call, stream);
    case ElementType::kBFloat16:
      return weight_gradient<BFloat16>(call, stream);
  }
}

}  // namespace espalier::nn
