#include "train/denoiser.h"

#include <torch/types.h>

#include <utility>

namespace espalier::train {
namespace {

at::Tensor run(const nn::SparseStructureFlow& flow, const FlowSamples&, const at::Tensor& x_t, const at::Tensor& t,
               const at::Tensor& condition) {
  return flow.forward(x_t, t, condition);
}

at::Tensor run(const nn::SLatFlow& flow, const FlowSamples& samples, const at::Tensor& x_t, const at::Tensor& t,
               const at::Tensor& condition) {
  return flow.forward(nn::SparseTensor{x_t, samples.coords, samples.offsets}, t, condition, samples.concat);
}

template <class Flow>
class DenoiserOf : public Denoiser {
 public:
  explicit DenoiserOf(std::unique_ptr<Flow> flow) : flow_(std::move(flow)) {}

  at::Tensor predict(const FlowSamples& samples, const at::Tensor& x_t, const at::Tensor& t,
                     const at::Tensor& condition) const override {
    return run(*flow_, samples, x_t, t, condition);
  }
  const nn::FlowConfig& config() const override { return flow_->config(); }
  std::map<std::string, nn::Linear*> lora_targets() override { return flow_->lora_targets(); }
  void recompute_blocks(int64_t blocks) override { flow_->recompute_blocks(blocks); }

 private:
  std::unique_ptr<Flow> flow_;
};

}  // namespace

std::unique_ptr<Denoiser> make_denoiser(std::unique_ptr<nn::SparseStructureFlow> flow) {
  return std::make_unique<DenoiserOf<nn::SparseStructureFlow>>(std::move(flow));
}

std::unique_ptr<Denoiser> make_denoiser(std::unique_ptr<nn::SLatFlow> flow) {
  return std::make_unique<DenoiserOf<nn::SLatFlow>>(std::move(flow));
}

}  // namespace espalier::train
