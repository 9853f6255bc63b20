#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

#include "nn/sparse/conv_cpu.h"
#include "nn/sparse/conv_cuda.h"
#include "nn/sparse/conv_gather.h"
#include "nn/sparse/ops.h"

namespace espalier::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

// The type the products are added up in: half types are widened where no kernel or matrix product adds in fp32 itself.
at::Tensor accumulation_type(const at::Tensor& x) {
  return x.is_cpu() && x.element_size() == 2 && !has_cuda_kernel(x) ? x.to(at::kFloat) : x;
}

bool has_cpu_kernel(const at::Tensor& x) { return x.is_cpu() && x.scalar_type() == at::kFloat; }

// `order` is undefined unless a kernel of the GPU asks for it.
struct Neighbours {
  const at::Tensor &map, &order;
};

// feats [T, K], kernel [27, K, N], bias [N] or undefined -> [T, N].
at::Tensor convolve(const at::Tensor& feats, const Neighbours& neighbours, const at::Tensor& kernel,
                    const at::Tensor& bias) {
  const at::Tensor& map = neighbours.map;
  if (has_cuda_kernel(feats)) return convolve_cuda(feats, map, neighbours.order, kernel.contiguous(), bias);
  if (has_cpu_kernel(feats)) return convolve_cpu(feats, map, kernel.contiguous(), bias);
  return convolve_gathered(feats, map, kernel, bias);
}

// [27, Co, Ci].
at::Tensor weight_gradient(const at::Tensor& grad, const at::Tensor& feats, const at::Tensor& map) {
  if (has_cuda_kernel(feats)) return weight_gradient_cuda(grad, feats, map);
  if (has_cpu_kernel(feats)) return weight_gradient_cpu(grad, feats, map);
  return weight_gradient_gathered(grad, feats, map);
}

// weight [Co, 3, 3, 3, Ci] -> [Co, 27, Ci].
at::Tensor by_offset(const at::Tensor& weight) {
  return accumulation_type(weight).reshape({weight.size(0), kKernelOffsets, weight.size(4)});
}

class SubmanifoldConv : public torch::autograd::Function<SubmanifoldConv> {
 public:
  static Variable forward(AutogradContext* ctx, const at::Tensor& feats, const at::Tensor& map,
                          const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                          const std::optional<at::Tensor>& rows_in_order) {
    const at::Tensor order = rows_in_order.value_or(at::Tensor());
    ctx->save_for_backward({feats, map, weight, order});
    ctx->saved_data["bias"] = bias.has_value();
    const at::Tensor wide = accumulation_type(feats).contiguous();
    const at::Tensor kernel = by_offset(weight).permute({1, 2, 0});
    const at::Tensor shift = bias ? bias->to(wide.scalar_type()).contiguous() : at::Tensor();
    return convolve(wide, {map, order}, kernel, shift).to(feats.scalar_type());
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor feats = accumulation_type(saved[0]).contiguous(), &map = saved[1], &weight = saved[2];
    const at::Tensor grad = accumulation_type(grads[0]).contiguous();
    // One per argument of forward(); needs_input_grad() counts only those tensors that there are.
    variable_list result(5);
    if (ctx->needs_input_grad(0)) {
      // A submanifold neighbourhood is symmetric: the gradient gathers with the offsets reversed and scatters nothing.
      const at::Tensor reversed = by_offset(weight).flip(1).transpose(0, 1);
      result[0] = convolve(grad, {map, saved[3]}, reversed, {}).to(saved[0].scalar_type());
    }
    if (ctx->needs_input_grad(2)) {
      const at::Tensor by_row = weight_gradient(grad, feats, map).transpose(0, 1);
      result[2] = by_row.reshape(weight.sizes()).to(weight.scalar_type());
    }
    if (ctx->saved_data["bias"].toBool() && ctx->needs_input_grad(3)) {
      result[3] = grad.sum(0).to(weight.scalar_type());
    }
    return result;
  }
};

std::optional<at::Tensor> if_defined(const at::Tensor& x) { return x.defined() ? std::optional(x) : std::nullopt; }

// order: sorted_rows(neighbours), undefined where no kernel of the GPU will run.
at::Tensor checked_conv(const at::Tensor& feats, const at::Tensor& neighbours, const at::Tensor& order,
                        const at::Tensor& weight, const at::Tensor& bias) {
  TORCH_CHECK(weight.dim() == 5 && weight.size(1) == 3 && weight.size(2) == 3 && weight.size(3) == 3 &&
                  weight.size(4) == feats.size(1),
              "weight must be [Co, 3, 3, 3, ", feats.size(1), "], got ", weight.sizes());
  TORCH_CHECK(neighbours.dim() == 2 && neighbours.size(0) == feats.size(0) && neighbours.size(1) == kKernelOffsets &&
                  neighbours.scalar_type() == at::kInt,
              "neighbours must be [", feats.size(0), ", 27] int32, got ", neighbours.sizes());
  return SubmanifoldConv::apply(feats, neighbours, weight, if_defined(bias), if_defined(order));
}

}  // namespace

at::Tensor submanifold_conv(const at::Tensor& feats, const at::Tensor& neighbours, const at::Tensor& weight,
                            const at::Tensor& bias) {
  const at::Tensor order = has_cuda_kernel(feats) ? sorted_rows(neighbours) : at::Tensor();
  return checked_conv(feats, neighbours, order, weight, bias);
}

SparseTensor submanifold_conv(const SparseTensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const at::Tensor order = has_cuda_kernel(x.feats) ? row_order(x) : at::Tensor();
  return x.with(checked_conv(x.feats, neighbour_map(x), order, weight, bias));
}

}  // namespace espalier::nn
