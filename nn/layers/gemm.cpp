#include "nn/layers/gemm.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/types.h>

namespace espalier::nn {
namespace {

using LinearPointwise = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                                   c10::string_view, c10::List<std::optional<at::Scalar>>,
                                   std::optional<c10::string_view>);

const c10::TypedOperatorHandle<LinearPointwise>& onednn_linear() {
  static const auto handle =
      c10::Dispatcher::singleton().findSchemaOrThrow("mkldnn::_linear_pointwise", "").typed<LinearPointwise>();
  return handle;
}

bool onednn_fits(const at::Tensor& a, const at::Tensor& b) {
  return a.device().is_cpu() && a.scalar_type() == at::kFloat && b.scalar_type() == at::kFloat && a.numel() > 0 &&
         b.numel() > 0 && at::globalContext().userEnabledMkldnn() && at::hasMKLDNN();
}

}  // namespace

at::Tensor gemm_nt(const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias) {
  TORCH_CHECK(!at::GradMode::is_enabled() ||
                  !(a.requires_grad() || b.requires_grad() || (bias.defined() && bias.requires_grad())),
              "gemm_nt makes no graph");
  if (!onednn_fits(a, b)) return bias.defined() ? at::addmm(bias, a, b.t()) : at::mm(a, b.t());
  const auto optional_bias = bias.defined() ? std::optional<at::Tensor>(bias) : std::nullopt;
  return onednn_linear().call(a, b, optional_bias, "none", c10::List<std::optional<at::Scalar>>(), "");
}

at::Tensor gemm_nt(const at::Tensor& a, const at::Tensor& b) { return gemm_nt(a, b, at::Tensor()); }

}  // namespace espalier::nn
