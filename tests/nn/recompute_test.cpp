#include "nn/layers/recompute.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include "nn/lora/adapter.h"
#include "nn/networks/slat_flow.h"
#include "nn/networks/ss_flow.h"
#include "tests/nn/networks.h"

namespace espalier::nn {
namespace {

constexpr int64_t kBlocks = 3;

FlowConfig three_blocks() {
  auto config = small_flow();
  config.num_blocks = kBlocks;
  return config;
}

TEST(Recomputed, RunsTheSegmentAgainForTheBackwardPassOnly) {
  const auto x = torch::rand({3}).requires_grad_(), leaf = torch::rand({3}).requires_grad_();
  int runs = 0;
  const Segment segment = [&](const std::vector<at::Tensor>& in) {
    ++runs;
    return in[0] * in[0] * leaf;
  };
  const auto y = recomputed(segment, {x}, {leaf});
  EXPECT_EQ(runs, 1);
  y.sum().backward();
  EXPECT_EQ(runs, 2);
  EXPECT_TRUE(torch::allclose(x.grad(), 2 * x * leaf));
  EXPECT_TRUE(torch::allclose(leaf.grad(), x * x));
}

TEST(Recomputed, IsAPlainCallWithoutAGradient) {
  const auto y = recomputed([](const auto& in) { return in[0] + 1; }, {torch::zeros({2})}, {});
  EXPECT_FALSE(y.requires_grad());
}

// A dense and a structured denoiser with a batch each.
struct Dense {
  using Flow = SparseStructureFlow;
  static at::Tensor run(const Flow& flow, const at::Tensor& condition) {
    const auto x = torch::empty({2, 4, 3, 3, 3}).normal_(0, 1, generator(5));
    return flow.forward(x, torch::tensor({100.f, 700.f}), condition);
  }
};

struct Structured {
  using Flow = SLatFlow;
  static at::Tensor run(const Flow& flow, const at::Tensor& condition) {
    const auto coords =
        torch::tensor({{0, 1, 2, 3}, {0, 0, 0, 1}, {0, 2, 2, 2}, {1, 1, 1, 1}, {1, 0, 2, 0}}).to(at::kInt);
    const auto x = SparseTensor::create(torch::empty({5, 4}).normal_(0, 1, generator(5)), coords, 2);
    return flow.forward(*x, torch::tensor({100.f, 700.f}), condition);
  }
};

// Gradients by name, with that many blocks recomputed: of an adapter on a frozen base, or of the base and condition.
template <class Kind>
TensorMap gradients(bool adapter_only, int64_t recomputed_blocks) {
  const auto config = three_blocks();
  auto parameters = perturbed(Kind::Flow::init_parameters(config, generator(1)), generator(2));
  auto flow = *Kind::Flow::create(config, parameters);
  flow->recompute_blocks(recomputed_blocks);
  auto condition = torch::empty({2, 5, config.cond_channels}).normal_(0, 1, generator(3));
  TensorMap leaves;
  AdapterScope scope;
  if (adapter_only) {
    auto adapter = *make_adapter(flow->lora_targets(), {4, 4, false, *target_suffixes("attn+mlp")}, 7);
    for (auto& [module, pair] : adapter.modules) pair.b.normal_(0, 0.1, generator(4));
    for (auto& [name, tensor] : adapter.named_tensors()) leaves[name] = tensor;
    scope = *AdapterScope::attach(adapter, flow->lora_targets());
  } else {
    leaves = parameters;
    leaves["condition"] = condition;
  }
  require_gradients(leaves);
  Kind::run(*flow, condition).square().mean().backward();
  TensorMap found;
  for (const auto& [name, tensor] : leaves) found[name] = tensor.grad();
  return found;
}

void expect_same_bits(const TensorMap& got, const TensorMap& want) {
  for (const auto& [name, gradient] : got) {
    ASSERT_TRUE(gradient.defined()) << name;
    EXPECT_GT(gradient.abs().max().item<float>(), 0) << name;
    EXPECT_TRUE(gradient.equal(want.at(name))) << name;
  }
}

template <class Kind>
void expect_same_bits_for_any_number_of_blocks() {
  for (const bool adapter_only : {true, false}) {
    const auto want = gradients<Kind>(adapter_only, 0);
    for (const int64_t blocks : {int64_t{1}, int64_t{2}, kBlocks, int64_t{100}}) {
      SCOPED_TRACE(blocks);
      expect_same_bits(gradients<Kind>(adapter_only, blocks), want);
    }
  }
}

TEST(GradientCheckpointing, GivesADenseDenoiserTheSameBits) { expect_same_bits_for_any_number_of_blocks<Dense>(); }
TEST(GradientCheckpointing, GivesAStructuredDenoiserTheSameBits) {
  expect_same_bits_for_any_number_of_blocks<Structured>();
}

}  // namespace
}  // namespace espalier::nn
