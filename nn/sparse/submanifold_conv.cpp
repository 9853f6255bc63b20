#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

#include <algorithm>
#include <cstring>

#include "nn/sparse/ops.h"

namespace espalier::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

constexpr int64_t kOffsets = 27;
constexpr int64_t kChunkBytes = 8 << 20;  // of gathered neighbours: stays near the caches, bounds memory
constexpr int64_t kRowGrain = 256;

int64_t chunk_rows(int64_t channels) {
  return std::clamp<int64_t>(kChunkBytes / (kOffsets * channels * 4), 256, 16384);
}

// Half types are accumulated in fp32; accelerators do that inside the matrix product.
at::Tensor accumulation_type(const at::Tensor& x) { return x.is_cpu() && x.element_size() == 2 ? x.to(at::kFloat) : x; }

void copy_neighbours(const float* feats, const int32_t* map, int64_t channels, float* out) {
  for (int64_t v = 0; v < kOffsets; ++v, out += channels) {
    if (map[v] < 0) {
      std::memset(out, 0, sizeof(float) * channels);
    } else {
      std::memcpy(out, feats + map[v] * channels, sizeof(float) * channels);
    }
  }
}

// [n, 27 * C]: the features of the neighbours of rows begin .. begin+n, zeros where there is none.
at::Tensor gather(const at::Tensor& feats, const at::Tensor& map, int64_t begin, int64_t n) {
  const int64_t channels = feats.size(1);
  if (!feats.is_cpu() || feats.scalar_type() != at::kFloat) {
    const at::Tensor index = map.narrow(0, begin, n).flatten();
    const at::Tensor rows = feats.index_select(0, index.clamp_min(0));
    return rows.masked_fill_(index.lt(0).unsqueeze(1), 0).view({n, kOffsets * channels});
  }
  const at::Tensor out = torch::empty({n, kOffsets * channels}, feats.options());
  const float* from = feats.const_data_ptr<float>();
  const int32_t* rows = map.const_data_ptr<int32_t>() + begin * kOffsets;
  float* to = out.mutable_data_ptr<float>();
  at::parallel_for(0, n, kRowGrain, [&](int64_t first, int64_t last) {
    for (int64_t t = first; t < last; ++t) {
      copy_neighbours(from, rows + t * kOffsets, channels, to + t * kOffsets * channels);
    }
  });
  return out;
}

// feats [T, Ci], kernel [27 * Ci, Co] -> [T, Co].
at::Tensor convolve(const at::Tensor& feats, const at::Tensor& map, const at::Tensor& kernel, const at::Tensor& bias) {
  const int64_t rows = feats.size(0), step = chunk_rows(feats.size(1));
  const at::Tensor out = torch::empty({rows, kernel.size(1)}, feats.options());
  for (int64_t begin = 0; begin < rows; begin += step) {
    const int64_t n = std::min(step, rows - begin);
    at::Tensor part = out.narrow(0, begin, n);
    const at::Tensor neighbours = gather(feats, map, begin, n);
    if (bias.defined()) {
      at::addmm_out(part, bias, neighbours, kernel);
    } else {
      at::mm_out(part, neighbours, kernel);
    }
  }
  return out;
}

// A submanifold neighbourhood is symmetric: the gradient gathers with the offsets reversed instead of scattering.
at::Tensor reversed_kernel(const at::Tensor& weight) {
  const int64_t co = weight.size(0), ci = weight.size(4);
  return weight.reshape({co, kOffsets, ci}).flip(1).permute({1, 0, 2}).reshape({kOffsets * co, ci});
}

at::Tensor weight_gradient(const at::Tensor& grad, const at::Tensor& feats, const at::Tensor& map) {
  const int64_t rows = feats.size(0), step = chunk_rows(feats.size(1));
  at::Tensor sum = torch::zeros({grad.size(1), kOffsets * feats.size(1)}, grad.options());
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
    const at::Tensor kernel = accumulation_type(weight).reshape({weight.size(0), -1}).t();
    const at::Tensor wide = accumulation_type(feats).contiguous();
    return convolve(wide, map, kernel, bias ? bias->to(wide.scalar_type()) : at::Tensor()).to(feats.scalar_type());
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor feats = accumulation_type(saved[0]).contiguous(), &map = saved[1], &weight = saved[2];
    const at::Tensor grad = accumulation_type(grads[0]).contiguous();
    variable_list result(4);
    if (ctx->needs_input_grad(0)) {
      result[0] = convolve(grad, map, reversed_kernel(accumulation_type(weight)), {}).to(saved[0].scalar_type());
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
  TORCH_CHECK(neighbours.dim() == 2 && neighbours.size(0) == feats.size(0) && neighbours.size(1) == kOffsets,
              "neighbours must be [", feats.size(0), ", 27], got ", neighbours.sizes());
  return SubmanifoldConv::apply(feats, neighbours, weight,
                                bias.defined() ? std::optional<at::Tensor>(bias) : std::nullopt);
}

}  // namespace espalier::nn
