#include <gtest/gtest.h>
#include <torch/types.h>

#include <nlohmann/json.hpp>

#include "nn/networks/slat_flow.h"
#include "nn/networks/ss_flow.h"
#include "tests/nn/networks.h"

namespace espalier::nn {
namespace {

std::unique_ptr<SparseStructureFlow> make_flow(const FlowConfig& config, const TensorMap& parameters) {
  auto flow = SparseStructureFlow::create(config, parameters);
  EXPECT_TRUE(flow.ok()) << flow.status();
  return *std::move(flow);
}

struct Inputs {
  at::Tensor x, t, cond;
};

Inputs inputs(const FlowConfig& config, at::Generator gen, int64_t batch = 2) {
  const int64_t r = config.resolution;
  return {torch::empty({batch, config.in_channels, r, r, r}).normal_(0, 1, gen),
          torch::empty({batch}).uniform_(0, 1000, gen),
          torch::empty({batch, 5, config.cond_channels}).normal_(0, 1, gen)};
}

double relative_difference(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).norm() / b.norm()).item<double>();
}

TEST(SparseStructureFlow, StartsByReturningZeros) {
  const auto config = small_flow();
  const auto flow = make_flow(config, SparseStructureFlow::init_parameters(config, generator(1)));
  const auto in = inputs(config, generator(2));
  const at::Tensor y = flow->forward(in.x, in.t, in.cond);
  EXPECT_EQ(y.sizes(), in.x.sizes());
  EXPECT_EQ(y.abs().max().item<float>(), 0);
}

TEST(SparseStructureFlow, DrawsTheSameParametersFromTheSameSeed) {
  const auto config = small_flow();
  const auto a = SparseStructureFlow::init_parameters(config, generator(1));
  const auto b = SparseStructureFlow::init_parameters(config, generator(1));
  for (const auto& [name, tensor] : a) EXPECT_TRUE(tensor.equal(b.at(name))) << name;
}

// The derivative along a random direction of all parameters, by autograd and by central differences.
TEST(SparseStructureFlow, GradientsAgreeWithFiniteDifferences) {
  for (const bool official : {true, false}) {
    auto config = small_flow();
    if (!official) {
      config.share_mod = config.qk_rms_norm = config.qk_rms_norm_cross = false;
      config.pe_mode = PositionMode::kApe;
    }
    const auto start = perturbed(SparseStructureFlow::init_parameters(config, generator(1)), generator(2), 0.05);
    const auto in = inputs(config, generator(3));
    const at::Tensor weight = torch::empty_like(in.x).normal_(0, 1, generator(4));
    auto gen = generator(5);
    TensorMap direction;
    for (const auto& [name, tensor] : start) direction[name] = torch::empty_like(tensor).normal_(0, 1, gen);
    const auto loss = [&](const TensorMap& parameters) {
      return (make_flow(config, parameters)->forward(in.x, in.t, in.cond).to(at::kDouble) * weight).sum();
    };
    auto leaves = detach_copy(start);
    require_gradients(leaves);
    loss(leaves).backward();
    double analytic = 0;
    for (const auto& [name, tensor] : leaves) {
      ASSERT_TRUE(tensor.grad().defined()) << name;
      analytic += (tensor.grad() * direction.at(name)).sum().item<double>();
    }
    const double h = 2e-4;
    const auto moved = [&](double step) {
      TensorMap map;
      for (const auto& [name, tensor] : start) map[name] = tensor + step * direction.at(name);
      return loss(map).item<double>();
    };
    const double numeric = (moved(h) - moved(-h)) / (2 * h);
    EXPECT_NEAR(analytic, numeric, 2e-2 * std::abs(numeric) + 0.05) << "official " << official;
  }
}

TEST(SparseStructureFlow, TrainsTheTensorsOfTheMapItWasBuiltFrom) {
  const auto config = small_flow();
  auto parameters = perturbed(SparseStructureFlow::init_parameters(config, generator(1)), generator(2));
  require_gradients(parameters);
  const auto flow = make_flow(config, parameters);
  const auto in = inputs(config, generator(3));
  const at::Tensor before = flow->forward(in.x, in.t, in.cond);
  before.square().mean().backward();
  {
    const at::NoGradGuard no_grad;
    for (auto& [name, tensor] : parameters) tensor.sub_(tensor.grad(), 1e-2);
  }
  EXPECT_GT(relative_difference(flow->forward(in.x, in.t, in.cond), before), 1e-4);
}

TEST(SparseStructureFlow, NamesSevenLinearLayersPerBlock) {
  const auto config = small_flow();
  const auto flow = make_flow(config, SparseStructureFlow::init_parameters(config, generator(1)));
  const auto targets = flow->lora_targets();
  EXPECT_EQ(targets.size(), 14u);
  EXPECT_EQ(targets.at("blocks.1.cross_attn.to_kv")->in_features(), config.cond_channels);
  EXPECT_EQ(targets.at("blocks.0.self_attn.to_qkv")->out_features(), 3 * config.model_channels);
  for (const char* name : {"self_attn.to_out", "cross_attn.to_q", "cross_attn.to_out", "mlp.mlp.0", "mlp.mlp.2"}) {
    EXPECT_TRUE(targets.count(std::string("blocks.0.") + name)) << name;
  }
}

TEST(SparseStructureFlow, ABranchChangesTheOutputAsAddingItToTheWeightWould) {
  const auto config = small_flow();
  const auto parameters = perturbed(SparseStructureFlow::init_parameters(config, generator(1)), generator(2));
  const auto in = inputs(config, generator(3));
  const auto flow = make_flow(config, parameters);
  auto gen = generator(4);
  auto merged = parameters;
  for (auto& [name, layer] : flow->lora_targets()) {
    const LoraBranch branch{torch::empty({3, layer->in_features()}).normal_(0, 0.2, gen),
                            torch::empty({layer->out_features(), 3}).normal_(0, 0.2, gen), 0.5};
    layer->branches.push_back(branch);
    merged[name + ".weight"] = merged[name + ".weight"] + 0.5 * branch.b.mm(branch.a);
  }
  const at::Tensor want = make_flow(config, merged)->forward(in.x, in.t, in.cond);
  EXPECT_LT(relative_difference(flow->forward(in.x, in.t, in.cond), want), 1e-5);
}

TEST(SparseStructureFlow, StaysCloseInBfloat16) {
  auto config = small_flow();
  const auto parameters = perturbed(SparseStructureFlow::init_parameters(config, generator(1)), generator(2), 0.1);
  const auto in = inputs(config, generator(3));
  const at::Tensor wide = make_flow(config, parameters)->forward(in.x, in.t, in.cond);
  config.dtype = at::kBFloat16;
  const auto flow = make_flow(config, parameters);
  const at::Tensor narrow = flow->forward(in.x, in.t, in.cond);
  EXPECT_EQ(flow->parameters().at("blocks.0.mlp.mlp.0.weight").scalar_type(), at::kBFloat16);
  EXPECT_EQ(flow->parameters().at("blocks.0.modulation").scalar_type(), at::kFloat);
  EXPECT_EQ(narrow.scalar_type(), at::kFloat);
  const double difference = relative_difference(narrow, wide);
  EXPECT_LT(difference, 0.05);
  EXPECT_GT(difference, 0);
}

TEST(SparseStructureFlow, RejectsParametersThatDoNotFit) {
  const auto config = small_flow();
  auto parameters = SparseStructureFlow::init_parameters(config, generator(1));
  parameters.erase("out_layer.bias");
  parameters["input_layer.weight"] = torch::zeros({1, 1});
  parameters["blocks.9.modulation"] = torch::zeros({1});
  parameters["rope_phases"] = torch::zeros({1});  // a recomputed buffer is welcome
  const auto flow = SparseStructureFlow::create(config, parameters);
  ASSERT_FALSE(flow.ok());
  const std::string message(flow.status().message());
  EXPECT_NE(message.find("missing out_layer.bias"), std::string::npos) << message;
  EXPECT_NE(message.find("input_layer.weight is [1, 1]"), std::string::npos) << message;
  EXPECT_NE(message.find("unexpected blocks.9.modulation"), std::string::npos) << message;
  EXPECT_EQ(message.find("rope_phases"), std::string::npos) << message;
}

TEST(FlowConfig, RejectsBadArguments) {
  const nlohmann::json good = {{"resolution", 4},    {"in_channels", 8},  {"model_channels", 64},
                               {"cond_channels", 8}, {"out_channels", 8}, {"num_blocks", 1},
                               {"num_heads", 2},     {"pe_mode", "rope"}, {"use_checkpoint", true}};
  ASSERT_TRUE(FlowConfig::parse(good).ok()) << FlowConfig::parse(good).status();
  const nlohmann::json patches[] = {{{"resolution", 0}},       {{"num_heads", 3}},        {{"num_blocks", "2"}},
                                    {{"dtype", "int8"}},       {{"mlp_ratio", -1}},       {{"pe_mode", "other"}},
                                    {{"unknown", 1}},          {{"rope_freq", {1}}},      {{"share_mod", 1}},
                                    {{"model_channels", 1e9}}, {{"in_channels", nullptr}}};
  for (const auto& patch : patches) {
    auto args = good;
    args.update(patch);
    EXPECT_FALSE(FlowConfig::parse(args).ok()) << patch.dump();
  }
}

SparseTensor sparse_input(const std::vector<int64_t>& rows, int64_t channels, at::Generator gen) {
  std::vector<at::Tensor> coords;
  int64_t total = 0;
  for (size_t b = 0; b < rows.size(); ++b) {
    const at::Tensor xyz = torch::empty({rows[b], 3}).uniform_(0, 8, gen).to(at::kInt);
    coords.push_back(at::cat({torch::full({rows[b], 1}, static_cast<int>(b), at::kInt), xyz}, 1));
    total += rows[b];
  }
  auto x = SparseTensor::create(torch::empty({total, channels}).normal_(0, 1, gen), at::cat(coords, 0),
                                static_cast<int64_t>(rows.size()));
  EXPECT_TRUE(x.ok()) << x.status();
  return *std::move(x);
}

TEST(SLatFlow, GivesEachSampleWhatItGivesItAlone) {
  const auto config = small_flow();
  const auto parameters = perturbed(SLatFlow::init_parameters(config, generator(1)), generator(2));
  const auto flow = SLatFlow::create(config, parameters);
  ASSERT_TRUE(flow.ok()) << flow.status();
  const std::vector<int64_t> rows = {7, 0, 12};
  const auto x = sparse_input(rows, config.in_channels, generator(3));
  const at::Tensor t = torch::tensor({10.F, 500.F, 900.F});
  auto gen = generator(4);
  std::vector<at::Tensor> cond;
  for (const int64_t n : {5, 2, 3}) cond.push_back(torch::empty({n, config.cond_channels}).normal_(0, 1, gen));
  const at::Tensor all = (*flow)->forward(x, t, cond);
  ASSERT_EQ(all.size(0), 19);
  for (const int64_t b : {0, 2}) {
    const auto part = [&](const at::Tensor& rows_of) {
      return rows_of.narrow(0, x.offsets[b], x.offsets[b + 1] - x.offsets[b]);
    };
    at::Tensor coords = part(x.coords).clone();
    coords.select(1, 0).zero_();
    const auto alone = SparseTensor::create(part(x.feats), coords, 1);
    ASSERT_TRUE(alone.ok());
    const at::Tensor y = (*flow)->forward(*alone, t.narrow(0, b, 1), std::vector<at::Tensor>{cond[b]});
    EXPECT_LT(relative_difference(part(all), y), 1e-5) << b;
  }
}

TEST(SLatFlow, AgreesWithTheDenseNetworkOnAFullGrid) {
  const auto config = small_flow();
  const auto parameters = perturbed(SLatFlow::init_parameters(config, generator(1)), generator(2));
  const auto in = inputs(config, generator(3), 2);
  const at::Tensor want = make_flow(config, parameters)->forward(in.x, in.t, in.cond);
  const auto flow = SLatFlow::create(config, parameters);
  ASSERT_TRUE(flow.ok());
  const at::Tensor cells = torch::ones({2, 3, 3, 3}).nonzero().to(at::kInt);
  const auto rows = [](const at::Tensor& grid) { return grid.flatten(2).transpose(1, 2).flatten(0, 1); };
  const auto x = SparseTensor::create(rows(in.x), cells, 2);
  ASSERT_TRUE(x.ok());
  EXPECT_LT(relative_difference((*flow)->forward(*x, in.t, in.cond), rows(want)), 1e-5);
}

TEST(SparseTensor, RejectsCoordinatesThatBreakTheLayout) {
  const auto feats = torch::zeros({2, 1});
  const auto coords = [](std::vector<int> values) { return torch::tensor(values, at::kInt).view({2, 4}); };
  EXPECT_TRUE(SparseTensor::create(feats, coords({0, 1, 2, 3, 1, 0, 0, 0}), 3).ok());
  EXPECT_FALSE(SparseTensor::create(feats, coords({1, 1, 2, 3, 0, 0, 0, 0}), 2).ok());  // samples descend
  EXPECT_FALSE(SparseTensor::create(feats, coords({0, 1, 2, 3, 2, 0, 0, 0}), 2).ok());  // beyond the batch
  EXPECT_FALSE(SparseTensor::create(feats, coords({0, 1, 2, -3, 1, 0, 0, 0}), 2).ok());
  EXPECT_FALSE(SparseTensor::create(feats, coords({0, 1, 2, 70000, 1, 0, 0, 0}), 2).ok());
  EXPECT_FALSE(SparseTensor::create(torch::zeros({3, 1}), coords({0, 1, 2, 3, 1, 0, 0, 0}), 2).ok());
  EXPECT_FALSE(SparseTensor::create(feats, coords({0, 1, 2, 3, 1, 0, 0, 0}).to(at::kLong), 2).ok());
  EXPECT_FALSE(SparseTensor::create(feats, coords({0, 1, 2, 3, 1, 0, 0, 0}), 0).ok());
}

}  // namespace
}  // namespace espalier::nn
