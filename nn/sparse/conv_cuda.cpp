#include "nn/sparse/conv_cuda.h"

#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/types.h>

#include <bit>
#include <limits>

#include "nn/sparse/conv_cpu.h"
#include "nn/sparse/conv_launch.h"

namespace espalier::nn {
namespace {

std::optional<ElementType> element_type(const at::Tensor& x) {
  switch (x.scalar_type()) {
    case at::kFloat:
      return ElementType::kFloat;
    case at::kHalf:
      return ElementType::kHalf;
    case at::kBFloat16:
      return ElementType::kBFloat16;
    default:
      return std::nullopt;
  }
}

void check_features(const at::Tensor& x, const char* name) {
  TORCH_CHECK(has_cuda_kernel(x), name, " must be fp32, fp16 or bf16 on a CUDA device, got ", x.toString());
  TORCH_CHECK(x.dim() == 2 && x.is_contiguous(), name, " must be contiguous [T, C], got ", x.sizes());
  TORCH_CHECK(x.size(0) < std::numeric_limits<int32_t>::max() && x.size(1) < std::numeric_limits<int32_t>::max(), name,
              " has too many rows or channels: ", x.sizes());
}

// `shape` and the type are what x must have beside being contiguous on the device of `feats`.
void check_like(const at::Tensor& x, at::IntArrayRef shape, at::ScalarType type, const at::Tensor& feats,
                const char* name) {
  TORCH_CHECK(x.sizes() == shape && x.scalar_type() == type && x.device() == feats.device() && x.is_contiguous(), name,
              " must be contiguous ", type, " ", shape, " on ", feats.device(), ", got ", x.scalar_type(), " ",
              x.sizes(), " on ", x.device());
}

void* current_stream(const at::Device& device) {
  if (!device.is_cuda()) return nullptr;
  const c10::impl::VirtualGuardImpl guard(device.type());
  return guard.getStreamNativeHandle(guard.getStream(device));
}

// fp32 [splits, ...], or undefined when nothing is split.
at::Tensor partial_sums(int splits, const at::Tensor& result) {
  return splits == 1 ? at::Tensor() : torch::empty({splits, result.numel()}, result.options().dtype(at::kFloat));
}

float* data_of(const at::Tensor& parts) { return parts.defined() ? parts.mutable_data_ptr<float>() : nullptr; }

}  // namespace

bool has_cuda_kernels(const c10::Device& device) { return kernel_device() == device.type(); }

bool has_cuda_kernel(const at::Tensor& x) { return has_cuda_kernels(x.device()) && element_type(x).has_value(); }

at::Tensor convolve_cuda(const at::Tensor& feats, const at::Tensor& map, const at::Tensor& order,
                         const at::Tensor& kernel, const at::Tensor& bias) {
  check_features(feats, "feats");
  const int64_t rows = feats.size(0), in = feats.size(1), out = kernel.size(-1);
  check_like(map, {rows, kKernelOffsets}, at::kInt, feats, "map");
  check_like(order, {rows}, at::kInt, feats, "order");
  check_like(kernel, {kKernelOffsets, in, out}, feats.scalar_type(), feats, "kernel");
  if (bias.defined()) check_like(bias, {out}, feats.scalar_type(), feats, "bias");
  const c10::DeviceGuard on_device(feats.device());
  const at::Tensor result = torch::empty({rows, out}, feats.options());
  if (result.numel() == 0) return result;
  ConvolutionCall call{};
  call.type = *element_type(feats);
  call.rows = rows;
  call.in = static_cast<int>(in);
  call.out = static_cast<int>(out);
  call.feats = feats.const_data_ptr();
  call.map = map.const_data_ptr<int32_t>();
  call.order = order.const_data_ptr<int32_t>();
  call.kernel = kernel.const_data_ptr();
  call.bias = bias.defined() ? bias.const_data_ptr() : nullptr;
  call.result = result.mutable_data_ptr();
  call.splits = convolution_splits(rows, call.in, call.out);
  const at::Tensor parts = partial_sums(call.splits, result);
  call.parts = data_of(parts);
  launch_convolution(call, current_stream(feats.device()));
  return result;
}

at::Tensor weight_gradient_cuda(const at::Tensor& grad, const at::Tensor& feats, const at::Tensor& map) {
  check_features(feats, "feats");
  check_features(grad, "grad");
  const int64_t rows = feats.size(0), in = feats.size(1), out = grad.size(1);
  check_like(grad, {rows, out}, feats.scalar_type(), feats, "grad");
  check_like(map, {rows, kKernelOffsets}, at::kInt, feats, "map");
  const c10::DeviceGuard on_device(feats.device());
  const auto options = feats.options().dtype(at::kFloat);
  if (rows == 0) return torch::zeros({kKernelOffsets, out, in}, options);
  const at::Tensor result = torch::empty({kKernelOffsets, out, in}, options);
  if (result.numel() == 0) return result;
  WeightGradientCall call{};
  call.type = *element_type(feats);
  call.rows = rows;
  call.in = static_cast<int>(in);
  call.out = static_cast<int>(out);
  call.grad = grad.const_data_ptr();
  call.feats = feats.const_data_ptr();
  call.map = map.const_data_ptr<int32_t>();
  call.result = result.mutable_data_ptr<float>();
  call.splits = weight_gradient_splits(rows, call.in, call.out);
  const at::Tensor parts = partial_sums(call.splits, result);
  call.parts = data_of(parts);
  launch_weight_gradient(call, current_stream(feats.device()));
  return result;
}

at::Tensor neighbour_map_cuda(const at::Tensor& coords) {
  const int64_t rows = coords.size(0);
  check_like(coords, {rows, 4}, at::kInt, coords, "coords");
  TORCH_CHECK(rows < std::numeric_limits<int32_t>::max(), "coords has too many rows: ", rows);
  const c10::DeviceGuard on_device(coords.device());
  const at::Tensor map = torch::empty({rows, kKernelOffsets}, coords.options());
  if (rows == 0) return map;
  NeighbourMapCall call{};
  call.rows = rows;
  call.coords = coords.const_data_ptr<int32_t>();
  call.table_bits = std::bit_width(static_cast<uint64_t>(rows)) + 1;
  const int64_t slots = int64_t{1} << call.table_bits;
  const at::Tensor keys = torch::full({slots}, -1, coords.options().dtype(at::kLong));
  const at::Tensor table_rows = torch::empty({slots}, coords.options());
  call.table_keys = static_cast<unsigned long long*>(keys.mutable_data_ptr());
  call.table_rows = table_rows.mutable_data_ptr<int32_t>();
  call.map = map.mutable_data_ptr<int32_t>();
  launch_neighbour_map(call, current_stream(coords.device()));
  return map;
}

}  // namespace espalier::nn
