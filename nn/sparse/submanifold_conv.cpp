#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

#include <algorithm>

#include "nn/sparse/conv_cpu.h"
#include "nn/sparse/ops.h"

namespace espalier::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

constexpr int64_t kChunkBytes = 64 << 20;  // of gathered neighbours: bounds memory

// The type the products are added up in on the CPU; accelerators do that inside the matrix product.
at::Tensor accumulation_type(const at::Tensor& x) { return x.is_cpu() && x.element_size() == 2 ? x.to(at::kFloat) : x; }

bool has_cpu_kernel(const at::Tensor& x) { return x.is_cpu() && x.scalar_type() == at::kFloat; }

int64_t chunk_rows(const at::Tensor& feats) {
  return std::max<int64_t>(256, kChunkBytes / (kKernelOffsets * feats.size(1) * feats.element_size()));
}

// [n, 27 * C]: the features of the neighbours of rows begin .. begin+n, zeros where there is none.
at::Tensor gather(const at::Tensor& feats, const at::Tensor& map, int64_t begin, int64_t n) {
  const at::Tensor index = map.narrow(0, begin, n).flatten();
  const at::Tensor rows = feats.index_select(0, index.clamp_min(0));
  return rows.masked_fill_(index.lt(0).unsqueeze(1), 0).view({n, kKernelOffsets * feats.size(1)});
}

// feats [T, K], kernel [27, K, N], bias [N] or undefined -> [T, N].
at::Tensor convolve(const at::Tensor& feats, const at::Tensor& map, const at::Tensor& kernel, const at::Tensor& bias) {
  if (has_cpu_kernel(feats)) return convolve_cpu(feats, map, kernel.contiguous(), bias);
  const int64_t rows = feats.size(0), step = chunk_rows(feats);
  const at::Tensor out = torch::empty({rows, kernel.size(2)}, feats.options()), flat = kernel.flatten(0, 1);
  for (int64_t begin = 0; begin < rows; begin += step) {
    const int64_t n = std::min(step, rows - begin);
    at::Tensor part = out.narrow(0, begin, n);
    const at::Tensor neighbours = gather(feats, map, begin, n);
    if (bias.defined()) {
      at::addmm_out(part, bias, neighbours, flat);
    } else {
      at::mm_out(part, neighbours, flat);
    }
  }
  return out;
}

// weight [Co, 3, 3, 3, Ci] -> [Co, 27, Ci].
at::Tensor by_offset(const at::Tensor& weight) {
  return accumulation_type(weight).reshape({weight.size(0), kKernelOffsets, weight.size(4)});
}

// [Co, 27, Ci], the shape of by_offset().
at::Tensor weight_gradient(const at::Tensor& grad, const at::Tensor& feats, const at::Tensor& map) {
  if (has_cpu_kernel(feats)) return weight_gradient_cpu(grad, feats, map).transpose(0, 1).contiguous();
  const int64_t rows = feats.size(0), step = chunk_rows(feats);
  at::Tensor sum = torch::zeros({grad.size(1), kKernelOffsets * feats.size(1)}, grad.options());
  for (int64_t begin = 0; begin < rows; begin += step) {
    const int64_t n = std::min(step, rows - begin);
    sum.addmm_(grad.narrow(0, begin, n).t(), gather(feats, map, begin, n));
  }
  return sum;
}

class SubmanifoldConv : public torch::autograd::Function<SubmanifoldConv> {
 public:
  static Variable forward(AutogradContext* ctx, const at::Tensor& feats, const at::Tensor& map,
                          const at::Tensor& weight, const std::optional<at::Tensor>& bias) {
    ctx->save_for_backward({feats, map, weight});
    ctx->saved_data["bias"] = bias.has_value();
    const at::Tensor wide = accumulation_type(feats).contiguous();
    const at::Tensor kernel = by_offset(weight).permute({1, 2, 0});
    return convolve(wide, map, kernel, bias ? bias->to(wide.scalar_type()) : at::Tensor()).to(feats.scalar_type());
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor feats = accumulation_type(saved[0]).contiguous(), &map = saved[1], &weight = saved[2];
    const at::Tensor grad = accumulation_type(grads[0]).contiguous();
    variable_list result(4);
    if (ctx->needs_input_grad(0)) {
      // A submanifold neighbourhood is symmetric: the gradient gathers with the offsets reversed and scatters nothing.
      const at::Tensor reversed = by_offset(weight).flip(1).transpose(0, 1);
      result[0] = convolve(grad, map, reversed, {}).to(saved[0].scalar_type());
    }
    if (ctx->needs_input_grad(2)) {
      result[2] = weight_gradient(grad, feats, map).view(weight.sizes()).to(weight.scalar_type());
    }
    if (ctx->saved_data["bias"].toBool() && ctx->needs_input_grad(3)) {
      result[3] = grad.sum(0).to(weight.scalar_type());
    }
    return result;
  }
};

}  // namespace

at::Tensor submanifold_conv(const at::Tensor& feats, const at::Tensor& neighbours, const at::Tensor& weight,
                            const at::Tensor& bias) {
  TORCH_CHECK(weight.dim() == 5 && weight.size(1) == 3 && weight.size(2) == 3 && weight.size(3) == 3 &&
                  weight.size(4) == feats.size(1),
              "weight must be [Co, 3, 3, 3, ", feats.size(1), "], got ", weight.sizes());
  TORCH_CHECK(neighbours.dim() == 2 && neighbours.size(0) == feats.size(0) && neighbours.size(1) == kKernelOffsets &&
                  neighbours.scalar_type() == at::kInt,
              "neighbours must be [", feats.size(0), ", 27] int32, got ", neighbours.sizes());
  return SubmanifoldConv::apply(feats, neighbours, weight,
                                bias.defined() ? std::optional<at::Tensor>(bias) : std::nullopt);
}

}  // namespace espalier::nn
