#include "train/adamw.h"

#include <torch/types.h>

#include <cmath>

namespace espalier::train {

void AdamW::step_(at::Tensor& parameters, const at::Tensor& gradient, double learning_rate) {
  ++updates;
  const auto n = static_cast<double>(updates);
  parameters.mul_(1 - learning_rate * weight_decay);
  exp_avg.lerp_(gradient, 1 - beta1);
  exp_avg_sq.mul_(beta2).addcmul_(gradient, gradient, 1 - beta2);
  const auto denominator = exp_avg_sq.sqrt().div_(std::sqrt(1 - std::pow(beta2, n))).add_(eps);
  parameters.addcdiv_(exp_avg, denominator, -learning_rate / (1 - std::pow(beta1, n)));
}

void update_average_(at::Tensor& average, const at::Tensor& parameters, double decay) {
  average.mul_(decay).add_(parameters, 1 - decay);
}

}  // namespace espalier::train
