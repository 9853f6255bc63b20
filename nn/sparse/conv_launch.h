#pragma once

#include <c10/core/DeviceType.h>

#include <cstdint>
#include <optional>

// What conv_cuda.cpp asks of the kernels: raw memory in, no tensors, so that the CUDA compiler need not read LibTorch.
// Every pointer is to memory of the stream's device. The calls only enqueue; they throw c10::Error when that fails.
namespace espalier::nn {

enum class ElementType { kFloat, kHalf, kBFloat16 };

// convolve_cuda()'s work. rows, in and out are > 0.
struct ConvolutionCall {
  ElementType type;
  int64_t rows;
  int in, out;           // channels
  const void* feats;     // [rows, in]
  const int32_t* map;    // [rows, 27]
  const int32_t* order;  // [rows]
  const void* kernel;    // [27, in, out]
  const void* bias;      // [out] or nullptr
  void* result;          // [rows, out]
  int splits;            // of the sum, by convolution_splits()
  float* parts;          // [splits, rows, out]; not touched when splits is 1
};

// weight_gradient_cuda()'s work. rows, in and out are > 0.
struct WeightGradientCall {
  ElementType type;
  int64_t rows;
  int in, out;         // channels
  const void* grad;    // [rows, out]
  const void* feats;   // [rows, in]
  const int32_t* map;  // [rows, 27]
  float* result;       // [27, out, in]
  int splits;          // of the rows, by weight_gradient_splits()
  float* parts;        // [splits, 27, out, in]; not touched when splits is 1
};

// neighbour_map_cuda()'s work. rows is > 0 and < 2^31. The table has 2^table_bits slots, at least twice the rows.
struct NeighbourMapCall {
  int64_t rows;
  const int32_t* coords;  // [rows, 4]
  int table_bits;
  unsigned long long* table_keys;  // [slots], all bits set
  int32_t* table_rows;             // [slots]
  int32_t* map;                    // [rows, 27]
};

// The device that the kernels of this build run on; none in a build without CUDA.
std::optional<c10::DeviceType> kernel_device();

// Into how many parts a sum is split so that small inputs fill a GPU too. The same on every GPU.
int convolution_splits(int64_t rows, int in, int out);
int weight_gradient_splits(int64_t rows, int in, int out);

// stream: a cudaStream_t.
void launch_convolution(const ConvolutionCall& call, void* stream);
void launch_weight_gradient(const WeightGradientCall& call, void* stream);
void launch_neighbour_map(const NeighbourMapCall& call, void* stream);

}  // namespace espalier::nn
