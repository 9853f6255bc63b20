#include "nn/layers/split_qkv.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include "nn/layers/norm.h"
#include "nn/layers/position.h"

namespace espalier::nn {
namespace {

TEST(SplitQkv, HasTheValuesAndGradientsOfThePlainOperators) {
  torch::manual_seed(1);
  for (const int64_t d : {16, 18}) {  // 18 has a rest beside the lanes
    const auto data = torch::randn({2, 8, 3, 2, d});
    data[0][0][0][0].zero_();  // the bound of the norm
    const auto q_gamma = torch::rand({2, d}) + 0.5, k_gamma = torch::rand({2, d}) + 0.5;
    const auto phases = rope_phases(grid_coords(2, torch::kCPU), d, 1, 10000).unsqueeze(1).unsqueeze(1);
    auto x = data.clone().requires_grad_(), y = data.clone().requires_grad_();
    ASSERT_TRUE(split_qkv_applies(x, q_gamma, k_gamma, phases));
    const auto got = split_qkv(x, q_gamma, k_gamma, phases);
    const auto pair = apply_rope(head_rms_norm(y.narrow(2, 0, 2), torch::stack({q_gamma, k_gamma})), phases);
    const at::Tensor want[3] = {pair.select(2, 0), pair.select(2, 1), y.select(2, 2)};
    at::Tensor ours = torch::zeros({}), theirs = torch::zeros({});
    for (int i = 0; i < 3; ++i) {
      EXPECT_TRUE(torch::allclose(got[i], want[i], 1e-5, 1e-5)) << i;
      const auto pull = torch::randn({2, 8, 2, d});
      if (i < 2) pull[0][0][0].zero_();  // at zero the plain operators' gradient is huge and differs in rounding
      ours = ours + (got[i] * pull).sum();
      theirs = theirs + (want[i] * pull).sum();
    }
    ours.backward();
    theirs.backward();
    EXPECT_TRUE(torch::allclose(x.grad(), y.grad(), 1e-4, 1e-5));
  }
}

TEST(SplitQkv, LeavesTrainedGainsToThePlainOperators) {
  const auto qkv = torch::randn({1, 8, 3, 2, 16}).requires_grad_();
  const auto phases = rope_phases(grid_coords(2, torch::kCPU), 16, 1, 10000).unsqueeze(1).unsqueeze(1);
  const auto frozen = torch::ones({2, 16}), trained = torch::ones({2, 16}).requires_grad_();
  EXPECT_TRUE(split_qkv_applies(qkv, frozen, frozen, phases));
  EXPECT_FALSE(split_qkv_applies(qkv, trained, frozen, phases));
  EXPECT_FALSE(split_qkv_applies(qkv.to(torch::kBFloat16), frozen, frozen, phases));
  at::NoGradGuard no_grad;
  EXPECT_FALSE(split_qkv_applies(qkv, frozen, frozen, phases));
}

}  // namespace
}  // namespace espalier::nn
