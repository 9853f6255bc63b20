// What a build without CUDA has in place of conv_kernels.cu and neighbour_kernels.cu.
#ifndef ESP_HAS_CUDA

#include <torch/types.h>

#include "nn/sparse/conv_launch.h"

namespace espalier::nn {

std::optional<c10::DeviceType> kernel_device() { return std::nullopt; }

int convolution_splits(int64_t, int, int) { return 1; }
int weight_gradient_splits(int64_t, int, int) { return 1; }

void launch_convolution(const ConvolutionCall&, void*) { TORCH_CHECK(false, "built without CUDA"); }
void launch_weight_gradient(const WeightGradientCall&, void*) { TORCH_CHECK(false, "built without CUDA"); }
void launch_neighbour_map(const NeighbourMapCall&, void*) { TORCH_CHECK(false, "built without CUDA"); }

}  // namespace espalier::nn

#endif  // ESP_HAS_CUDA
