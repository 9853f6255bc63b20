#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace espalier::train {

// Decoupled weight decay: p <- p (1 - lr wd), then p <- p - lr m^ / (sqrt(v^) + eps) with bias-corrected moments.
// Operates on all parameters as one flat tensor. The decay also moves parameters whose gradient is zero.
// Reference: Loshchilov and Hutter, "Decoupled Weight Decay Regularization"; torch.optim.AdamW.
struct AdamW {
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weight_decay = 0.01;
  at::Tensor exp_avg, exp_avg_sq;  // [P] float32, zero at the start
  int64_t updates = 0;             // done

  // parameters, gradient: [P] float32.
  void step_(at::Tensor& parameters, const at::Tensor& gradient, double learning_rate);
};

// average <- average * decay + parameters * (1 - decay), in place.
void update_average_(at::Tensor& average, const at::Tensor& parameters, double decay);

}  // namespace espalier::train
