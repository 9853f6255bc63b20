#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <string>

#include "nn/networks/slat_flow.h"
#include "nn/networks/ss_flow.h"
#include "train/flow_loss.h"

namespace espalier::train {

// The network that is fine-tuned, with one face for dense latents (sparse structure) and structured ones (geometry,
// texture).
class Denoiser {
 public:
  virtual ~Denoiser() = default;

  // FlowTask::predict.
  virtual at::Tensor predict(const FlowSamples& samples, const at::Tensor& x_t, const at::Tensor& t,
                             const at::Tensor& condition) const = 0;
  virtual const nn::FlowConfig& config() const = 0;
  virtual std::map<std::string, nn::Linear*> lora_targets() = 0;
  virtual void recompute_blocks(int64_t blocks) = 0;  // as nn::SparseStructureFlow
};

std::unique_ptr<Denoiser> make_denoiser(std::unique_ptr<nn::SparseStructureFlow> flow);
std::unique_ptr<Denoiser> make_denoiser(std::unique_ptr<nn::SLatFlow> flow);

}  // namespace espalier::train
