#include "nn/lora/lora_linear.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

#include "nn/layers/gemm.h"

namespace espalier::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

// Many rows make it cheaper to add B A to the weight once than to send every row through the two thin products. In
// float32 the two orders agree to rounding; narrower types keep the unmerged order, the one inference is defined by.
bool merging_pays(const at::Tensor& rows, const at::Tensor& weight) {
  const int64_t out = weight.size(0), in = weight.size(1);
  return rows.scalar_type() == at::kFloat && rows.size(0) * (in + out) > 4 * in * out;
}

at::Tensor forward_rows(const at::Tensor& rows, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& a,
                        const at::Tensor& b, double scale) {
  if (merging_pays(rows, weight)) return gemm_nt(rows, at::addmm(weight, b, a, 1, scale), bias);
  const auto dtype = rows.scalar_type();
  auto y = gemm_nt(rows, weight, bias);
  const auto delta = gemm_nt(gemm_nt(rows, a.to(dtype)), b.to(dtype));  // [N, out]
  return y.add_(delta, scale);
}

// The frozen layer with one trained branch. Keeps only x for the backward pass: the thin products are cheaper to
// repeat than to store, and the weight gets no gradient.
class LoraLinearFunction : public torch::autograd::Function<LoraLinearFunction> {
 public:
  static Variable forward(AutogradContext* ctx, const at::Tensor& rows, const at::Tensor& weight,
                          const std::optional<at::Tensor>& bias, const at::Tensor& a, const at::Tensor& b,
                          double scale) {
    ctx->save_for_backward({rows, weight, a, b});
    ctx->saved_data["scale"] = scale;
    return forward_rows(rows, weight, bias.value_or(at::Tensor()), a, b, scale);
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const auto saved = ctx->get_saved_variables();
    const auto &rows = saved[0], &weight = saved[1], &a = saved[2], &b = saved[3];
    const double scale = ctx->saved_data["scale"].toDouble();
    const auto dtype = rows.scalar_type();
    const auto dy = gradients[0].contiguous();  // [N, out]
    const auto narrow_a = a.to(dtype), narrow_b = b.to(dtype);

    const auto inner = gemm_nt(rows, narrow_a);                  // [N, r]
    const auto d_inner = gemm_nt(dy, narrow_b.t()).mul_(scale);  // [N, r]
    // The thin side first: twice as fast as the other order.
    const auto db = gemm_nt(inner.t(), dy.t()).mul_(scale).to(b.scalar_type()).t();
    const auto da = gemm_nt(d_inner.t(), rows.t()).to(a.scalar_type());
    at::Tensor dx;
    if (ctx->needs_input_grad(0)) {
      dx = merging_pays(rows, weight) ? gemm_nt(dy, at::addmm(weight, b, a, 1, scale).t())
                                      : gemm_nt(dy, weight.t()).addmm_(d_inner, narrow_a);
    }
    return {dx, Variable(), Variable(), da, db, Variable()};
  }
};

}  // namespace

at::Tensor lora_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                       const std::vector<LoraBranch>& branches) {
  const bool frozen = !weight.requires_grad() && !(bias.defined() && bias.requires_grad());
  if (branches.size() != 1 || !frozen) {
    auto y = at::linear(x, weight, bias.defined() ? std::optional<at::Tensor>(bias) : std::nullopt);
    for (const auto& branch : branches) {
      const auto inner = at::linear(x, branch.a.to(x.scalar_type()));
      y = at::add(y, at::linear(inner, branch.b.to(x.scalar_type())), branch.scale);
    }
    return y;
  }
  const auto& branch = branches.front();
  const auto rows = x.reshape({-1, x.size(-1)});  // [N, in]
  const bool graph =
      at::GradMode::is_enabled() && (x.requires_grad() || branch.a.requires_grad() || branch.b.requires_grad());
  const auto y =
      graph ? LoraLinearFunction::apply(rows, weight, bias.defined() ? std::optional<at::Tensor>(bias) : std::nullopt,
                                        branch.a, branch.b, branch.scale)
            : forward_rows(rows, weight, bias, branch.a, branch.b, branch.scale);
  auto shape = x.sizes().vec();
  shape.back() = weight.size(0);
  return y.view(shape);
}

}  // namespace espalier::nn
