#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>
#include <vector>

namespace espalier::nn {

// One low-rank addition to a linear layer: y += scale * (x A^T) B^T.
struct LoraBranch {
  at::Tensor a;      // [r, in], fp32 while training
  at::Tensor b;      // [out, r]
  double scale = 1;  // alpha / r times the request's adapter strength
};

// y = x W^T + bias, plus any number of low-rank branches. The tensors are shared with the network's parameter map.
class Linear {
 public:
  Linear() = default;
  Linear(at::Tensor w, at::Tensor b) : weight(std::move(w)), bias(std::move(b)) {}

  // [..., in] of the weight's type -> [..., out].
  at::Tensor forward(const at::Tensor& x) const;

  int64_t in_features() const { return weight.size(1); }
  int64_t out_features() const { return weight.size(0); }

  at::Tensor weight;                 // [out, in]
  at::Tensor bias;                   // [out] or undefined
  std::vector<LoraBranch> branches;  // not thread-safe: change only while no forward runs
};

}  // namespace espalier::nn
