#include "nn/layers/linear.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

#include "nn/layers/gemm.h"
#include "nn/lora/lora_linear.h"

namespace espalier::nn {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

// The layer by itself in a graph: gradients only of what needs one, all products by gemm_nt.
class LinearFunction : public torch::autograd::Function<LinearFunction> {
 public:
  static Variable forward(AutogradContext* ctx, const at::Tensor& rows, const at::Tensor& weight,
                          const at::Tensor& bias) {
    ctx->save_for_backward({ctx->needs_input_grad(1) ? rows : at::Tensor(), weight});
    return gemm_nt(rows, weight, bias);
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const auto saved = ctx->get_saved_variables();
    const auto dy = gradients[0].contiguous();  // [N, out]
    at::Tensor dx, dw, db;
    if (ctx->needs_input_grad(0)) dx = gemm_nt(dy, saved[1].t());
    if (ctx->needs_input_grad(1)) dw = gemm_nt(dy.t().contiguous(), saved[0].t());
    if (ctx->needs_input_grad(2)) db = dy.sum(0);
    return {dx, dw, db};
  }
};

bool makes_graph(const Linear& layer, const at::Tensor& x) {
  return at::GradMode::is_enabled() &&
         (x.requires_grad() || layer.weight.requires_grad() || (layer.bias.defined() && layer.bias.requires_grad()));
}

}  // namespace

at::Tensor Linear::forward(const at::Tensor& x) const {
  if (branches.empty()) {
    const auto rows = x.reshape({-1, x.size(-1)});  // [N, in]
    auto shape = x.sizes().vec();
    shape.back() = out_features();
    if (!makes_graph(*this, x)) return gemm_nt(rows, weight, bias).view(shape);
    // A graph function takes no undefined tensor.
    const auto offset = bias.defined() ? bias : torch::zeros({out_features()}, weight.options().requires_grad(false));
    return LinearFunction::apply(rows, weight, offset).view(shape);
  }
  return lora_linear(x, weight, bias, branches);
}

}  // namespace espalier::nn
