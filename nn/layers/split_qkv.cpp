#include "nn/layers/split_qkv.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>

#include "nn/layers/parallel.h"

namespace espalier::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr float kSmallestSquare = 1e-24f;  // as head_rms_norm
constexpr int64_t kLanes = 8;              // independent sums, so that an addition need not wait for the one before

template <class Term>
float sum_of(int64_t n, const Term& term) {
  float lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += term(i + lane);
  }
  for (; i < n; ++i) lanes[0] += term(i);
  float total = 0;
  for (const float lane : lanes) total += lane;
  return total;
}

// One head of one token, d numbers.
struct Head {
  int64_t d;
  const float* gamma;   // [d], times sqrt(d)
  const float* phases;  // [d/2] pairs cos, sin

  void forward(const float* x, float* y) const {
    const float inverse = 1 / std::sqrt(std::max(sum_of(d, [x](int64_t i) { return x[i] * x[i]; }), kSmallestSquare));
    for (int64_t i = 0; i < d; i += 2) {
      const float re = x[i] * inverse * gamma[i], im = x[i + 1] * inverse * gamma[i + 1];
      y[i] = re * phases[i] - im * phases[i + 1];
      y[i + 1] = re * phases[i + 1] + im * phases[i];
    }
  }

  // dx from dy: turn back, then the derivative of x / |x|, whose part along x vanishes.
  void backward(const float* x, const float* dy, float* dx) const {
    const float square = sum_of(d, [x](int64_t i) { return x[i] * x[i]; });
    const bool bounded = square < kSmallestSquare;
    const float inverse = 1 / std::sqrt(std::max(square, kSmallestSquare));
    for (int64_t i = 0; i < d; i += 2) {
      dx[i] = (dy[i] * phases[i] + dy[i + 1] * phases[i + 1]) * gamma[i];
      dx[i + 1] = (dy[i + 1] * phases[i] - dy[i] * phases[i + 1]) * gamma[i + 1];
    }
    const float along = bounded ? 0 : inverse * inverse * sum_of(d, [x, dx](int64_t i) { return x[i] * dx[i]; });
    for (int64_t i = 0; i < d; ++i) dx[i] = inverse * (dx[i] - along * x[i]);
  }
};

struct Shape {
  int64_t rows, heads, d, positions;

  Shape(const at::Tensor& qkv, const at::Tensor& phases)
      : rows(qkv.numel() / (3 * qkv.size(-2) * qkv.size(-1))),
        heads(qkv.size(-2)),
        d(qkv.size(-1)),
        positions(phases.size(0)) {}
  int64_t row() const { return heads * d; }
};

// Calls visit(head, offset of the head in qkv, offset in q or k, part) for every query and key head.
template <class Visit>
void for_each_head(const Shape& shape, const at::Tensor& gammas, const at::Tensor& phases, const Visit& visit) {
  const auto* gamma = gammas.const_data_ptr<float>();  // [2, H, d]
  const auto* phase = reinterpret_cast<const float*>(phases.const_data_ptr<c10::complex<float>>());
  parallel_for(shape.rows, 64, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      for (int64_t part = 0; part < 2; ++part) {
        for (int64_t h = 0; h < shape.heads; ++h) {
          const Head head{shape.d, gamma + part * shape.row() + h * shape.d, phase + row % shape.positions * shape.d};
          visit(head, (row * 3 + part) * shape.row() + h * shape.d, row * shape.row() + h * shape.d, part);
        }
      }
    }
  });
}

class SplitQkv : public torch::autograd::Function<SplitQkv> {
 public:
  static variable_list forward(AutogradContext* ctx, const at::Tensor& qkv, const at::Tensor& gammas,
                               const at::Tensor& phases) {
    ctx->save_for_backward({qkv, gammas, phases});
    auto sizes = qkv.sizes().vec();
    sizes.erase(sizes.end() - 3);
    const auto q = at::empty(sizes, qkv.options()), k = at::empty_like(q);
    const auto* in = qkv.const_data_ptr<float>();
    float* out[2] = {q.data_ptr<float>(), k.data_ptr<float>()};
    for_each_head(Shape(qkv, phases), gammas, phases, [&](const Head& head, int64_t from, int64_t to, int64_t part) {
      head.forward(in + from, out[part] + to);
    });
    return {q, k, qkv.select(-3, 2).contiguous()};
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const auto saved = ctx->get_saved_variables();
    const auto& qkv = saved[0];
    const auto dq = gradients[0].contiguous(), dk = gradients[1].contiguous();
    const auto result = at::empty_like(qkv);
    result.select(-3, 2).copy_(gradients[2]);
    const auto* x = qkv.const_data_ptr<float>();
    const float* dy[2] = {dq.const_data_ptr<float>(), dk.const_data_ptr<float>()};
    auto* dx = result.data_ptr<float>();
    for_each_head(Shape(qkv, saved[2]), saved[1], saved[2],
                  [&](const Head& head, int64_t at, int64_t from, int64_t part) {
                    head.backward(x + at, dy[part] + from, dx + at);
                  });
    return {result, at::Tensor(), at::Tensor()};
  }
};

}  // namespace

bool split_qkv_applies(const at::Tensor& qkv, const at::Tensor& q_gamma, const at::Tensor& k_gamma,
                       const at::Tensor& phases) {
  return at::GradMode::is_enabled() && qkv.requires_grad() && qkv.is_cpu() && qkv.scalar_type() == at::kFloat &&
         qkv.is_contiguous() && q_gamma.defined() && k_gamma.defined() && !q_gamma.requires_grad() &&
         !k_gamma.requires_grad() && phases.defined();
}

std::array<at::Tensor, 3> split_qkv(const at::Tensor& qkv, const at::Tensor& q_gamma, const at::Tensor& k_gamma,
                                    const at::Tensor& phases) {
  const auto gammas = at::stack({q_gamma, k_gamma}).mul_(std::sqrt(static_cast<double>(qkv.size(-1))));
  auto parts = SplitQkv::apply(qkv, gammas, phases.contiguous());
  return {parts[0], parts[1], parts[2]};
}

}  // namespace espalier::nn
