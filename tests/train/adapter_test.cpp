#include "nn/lora/adapter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <functional>
#include <limits>
#include <nlohmann/json.hpp>

#include "common/files.h"
#include "nn/io/safetensors.h"
#include "nn/layers/linear.h"
#include "nn/lora/adapter_file.h"
#include "nn/lora/lora_linear.h"

namespace espalier::nn {
namespace {

using nlohmann::json;
using testing::HasSubstr;

// Two layers of a network, enough to be targets.
struct Layers {
  Linear first{torch::randn({6, 4}), torch::randn({6})};
  Linear second{torch::randn({3, 6}), torch::Tensor()};
  LoraTargets targets{{"blocks.0.mlp.mlp.0", &first}, {"blocks.0.mlp.mlp.2", &second}};
};

LoraAdapter random_adapter(const LoraTargets& targets, int64_t rank = 2) {
  auto adapter = *make_adapter(targets, {rank, 4, false, {"mlp.mlp.0", "mlp.mlp.2"}}, 0);
  for (auto& [module, pair] : adapter.modules) pair.b.normal_();
  return adapter;
}

TEST(SuffixRule, MatchesWholeNamePartsOnly) {
  struct Row {
    const char *module, *suffix;
    bool want;
  };
  for (const auto& row : {Row{"blocks.0.mlp.mlp.0", "mlp.mlp.0", true}, Row{"t_embedder.mlp.0", "mlp.mlp.0", false},
                          Row{"t_embedder.mlp.0", "mlp.0", true}, Row{"xmlp.0", "mlp.0", false},
                          Row{"mlp.0", "mlp.0", true}, Row{"mlp.0", "blocks.mlp.0", false}}) {
    EXPECT_EQ(matches_suffix(row.module, row.suffix), row.want) << row.module << " " << row.suffix;
  }
}

TEST(MakeAdapter, ChangesNothingAndDependsOnSeedAndNameOnly) {
  Layers layers;
  const LoraConfig config{8, 8, false, {"mlp.mlp.0", "mlp.mlp.2"}};
  const auto one = *make_adapter(layers.targets, config, 3), same = *make_adapter(layers.targets, config, 3);
  const auto& pair = one.modules.at("blocks.0.mlp.mlp.0");
  EXPECT_TRUE(torch::equal(pair.a, same.modules.at("blocks.0.mlp.mlp.0").a));
  EXPECT_FALSE(torch::equal(pair.a, make_adapter(layers.targets, config, 4)->modules.at("blocks.0.mlp.mlp.0").a));
  EXPECT_EQ(pair.b.abs().sum().item<double>(), 0);
  EXPECT_LE(pair.a.abs().max().item<double>(), 0.5);  // 1 / sqrt(4)
  EXPECT_GT(pair.a.abs().max().item<double>(), 0.3);
  EXPECT_TRUE(absl::IsInvalidArgument(make_adapter(layers.targets, {8, 8, false, {"nowhere"}}, 0).status()));
}

TEST(AdapterScope, AddsTheBranchForItsLifetime) {
  Layers layers;
  const auto adapter = random_adapter(layers.targets);
  const auto x = torch::randn({5, 4});
  const auto base = layers.first.forward(x);
  const auto& pair = adapter.modules.at("blocks.0.mlp.mlp.0");
  {
    const auto scope = AdapterScope::attach(adapter, layers.targets, 0.5);
    ASSERT_TRUE(scope.ok());
    const auto want = base + 0.5 * 2 * x.mm(pair.a.t()).mm(pair.b.t());  // s = 4 / 2
    EXPECT_LT((layers.first.forward(x) - want).abs().max().item<double>(), 1e-5);
    const auto merged = Linear(merged_weight(layers.first.weight, pair, 0.5), layers.first.bias);
    EXPECT_LT((merged.forward(x) - want).abs().max().item<double>(), 1e-5);
  }
  EXPECT_TRUE(torch::equal(layers.first.forward(x), base));
}

// Few rows take the two thin products, many rows the merged weight.
TEST(LoraLinear, HasTheGradientsOfTheComposition) {
  for (const int64_t rows : {3, 400}) {
    for (const bool biased : {true, false}) {
      torch::manual_seed(static_cast<uint64_t>(rows));
      const auto weight = torch::randn({6, 4}), bias = biased ? torch::randn({6}) : torch::Tensor();
      const auto data = torch::randn({rows, 4}), a_data = torch::randn({2, 4}), b_data = torch::randn({6, 2});
      const auto leaf = [](const at::Tensor& t) { return t.clone().requires_grad_(); };
      auto x = leaf(data), a = leaf(a_data), b = leaf(b_data);
      auto x2 = leaf(data), a2 = leaf(a_data), b2 = leaf(b_data);
      const auto got = lora_linear(x.view({1, rows, 4}), weight, bias, {{a, b, 0.7}});
      const auto want = at::linear(x2.view({1, rows, 4}), weight, bias) + 0.7 * x2.mm(a2.t()).mm(b2.t());
      const auto pull = torch::randn({1, rows, 6});
      (got * pull).sum().backward();
      (want * pull).sum().backward();
      EXPECT_TRUE(torch::allclose(got, want, 1e-5, 1e-5));
      EXPECT_TRUE(torch::allclose(x.grad(), x2.grad(), 1e-4, 1e-5));
      EXPECT_TRUE(torch::allclose(a.grad(), a2.grad(), 1e-4, 1e-4));
      EXPECT_TRUE(torch::allclose(b.grad(), b2.grad(), 1e-4, 1e-4));
      at::NoGradGuard no_grad;
      EXPECT_TRUE(torch::equal(lora_linear(x, weight, bias, {{a, b, 0.7}}), got.squeeze(0)));
    }
  }
}

class AdapterFileTest : public testing::Test {
 protected:
  std::string path(const std::string& name = "a.safetensors") const { return folder_.path() / name; }
  TempDir folder_ = *TempDir::create("adapter_test");
  Layers layers_;
  LoraAdapter adapter_ = random_adapter(layers_.targets);
  AdapterInfo info_{"sparse_structure", 512, "flow", "ab", 0, 0, "AdamW", 0, "", "", ""};
};

TEST_F(AdapterFileTest, ComesBackAsWritten) {
  ASSERT_TRUE(write_adapter(path(), adapter_, info_, SaveDtype::kFloat32).ok());
  const auto file = read_adapter(path(), layers_.targets, {"sparse_structure", 1024, "ab"});
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->adapter.config.alpha, 4);
  for (const auto& [module, pair] : adapter_.modules) {
    EXPECT_TRUE(torch::equal(file->adapter.modules.at(module).a, pair.a));
    EXPECT_TRUE(torch::equal(file->adapter.modules.at(module).b, pair.b));
    EXPECT_EQ(file->adapter.modules.at(module).scaling, 2);
  }
  ASSERT_TRUE(write_peft_folder(path("peft"), adapter_, info_, SaveDtype::kFloat16).ok());
  EXPECT_TRUE(read_adapter(path("peft"), layers_.targets).ok());
}

TEST_F(AdapterFileTest, RefusesTheWrongSlot) {
  ASSERT_TRUE(write_adapter(path(), adapter_, info_).ok());
  struct Row {
    AdapterSlot slot;
    const char* named;
  };
  for (const auto& row : {Row{{"texture", 0, ""}, "espalier.denoiser"}, Row{{"", 0, "cd"}, "espalier.base_sha256"}}) {
    EXPECT_THAT(std::string(read_adapter(path(), layers_.targets, row.slot).status().message()), HasSubstr(row.named));
  }
  info_.denoiser = "geometry";
  ASSERT_TRUE(write_adapter(path(), adapter_, info_).ok());
  EXPECT_THAT(std::string(read_adapter(path(), layers_.targets, {"geometry", 1024, ""}).status().message()),
              HasSubstr("espalier.resolution"));
}

TensorMap spelled(const LoraAdapter& adapter, const std::string& prefix, const std::string& a, const std::string& b) {
  TensorMap tensors;
  for (const auto& [module, pair] : adapter.modules) {
    tensors[prefix + module + a] = pair.a;
    tensors[prefix + module + b] = pair.b;
  }
  return tensors;
}

TEST_F(AdapterFileTest, AcceptsTheSpellingsOfOtherTrainers) {
  struct Row {
    const char *prefix, *a, *b;
  };
  for (const auto& row :
       {Row{"base_model.model.", ".lora_A.weight", ".lora_B.weight"}, Row{"", ".lora_A.weight", ".lora_B.weight"},
        Row{"transformer.", ".lora_down.weight", ".lora_up.weight"},
        Row{"diffusion_model.", ".lora_A.default.weight", ".lora_B.default.weight"}}) {
    auto tensors = spelled(adapter_, row.prefix, row.a, row.b);
    tensors[std::string(row.prefix) + "blocks.0.mlp.mlp.0.alpha"] = torch::tensor(1.0f);
    ASSERT_TRUE(write_safetensors(path(), tensors).ok());
    const auto file = read_adapter(path(), layers_.targets);
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_EQ(file->adapter.modules.at("blocks.0.mlp.mlp.0").scaling, 0.5);
    EXPECT_EQ(file->adapter.modules.at("blocks.0.mlp.mlp.2").scaling, 1);
  }
}

TEST_F(AdapterFileTest, RefusesWhatDoesNotFitAndNamesTheKey) {
  const std::string a = "base_model.model.blocks.0.mlp.mlp.0.lora_A.weight";
  const std::string b = "base_model.model.blocks.0.mlp.mlp.0.lora_B.weight";
  const float infinity = std::numeric_limits<float>::infinity();
  struct Row {
    const char* what;
    std::function<void(TensorMap&)> change;
    std::string named;
  };
  const std::vector<Row> rows = {
      {"unknown module",
       [](auto& t) {
         t["base_model.model.blocks.7.mlp.mlp.0.lora_A.weight"] = torch::ones({2, 4});
       },
       "blocks.7"},
      {"no LoRA weight",
       [](auto& t) {
         t["blocks.0.mlp.mlp.0.weight"] = torch::ones({6, 4});
       },
       "blocks.0.mlp.mlp.0.weight"},
      {"missing half", [&](auto& t) { t.erase(b); }, "lora_B is missing"},
      {"wrong width",
       [&](auto& t) {
         t[a] = torch::ones({2, 5});
       },
       a},
      {"wrong height",
       [&](auto& t) {
         t[b] = torch::ones({5, 2});
       },
       b},
      {"mixed ranks",
       [&](auto& t) {
         t[a] = torch::ones({3, 4}), t[b] = torch::ones({6, 3});
       },
       "rank"},
      {"not a matrix", [&](auto& t) { t[a] = torch::ones({8}); }, a},
      {"integers",
       [&](auto& t) {
         t[a] = torch::ones({2, 4}, torch::kInt32);
       },
       a},
      {"infinity",
       [&](auto& t) {
         t[a] = torch::full({2, 4}, infinity);
       },
       a},
      {"NaN",
       [&](auto& t) {
         t[b] = torch::full({6, 2}, std::nanf(""));
       },
       b},
      {"too large",
       [&](auto& t) {
         t[b] = torch::full({6, 2}, 2e4f);
       },
       b},
      {"bad alpha", [](auto& t) { t["blocks.0.mlp.mlp.0.alpha"] = torch::tensor(-1.0f); }, "alpha"},
      {"empty", [](auto& t) { t.clear(); }, "no adapter weights"},
  };
  for (const auto& row : rows) {
    auto tensors = spelled(adapter_, "base_model.model.", ".lora_A.weight", ".lora_B.weight");
    row.change(tensors);
    ASSERT_TRUE(write_safetensors(path(), tensors).ok()) << row.what;
    const auto file = read_adapter(path(), layers_.targets);
    EXPECT_THAT(std::string(file.status().message()), HasSubstr(row.named)) << row.what;
    EXPECT_TRUE(absl::IsInvalidArgument(file.status())) << row.what;
  }
}

TEST_F(AdapterFileTest, RefusesAnIncompleteAdapterOfItsOwn) {
  ASSERT_TRUE(write_adapter(path(), adapter_, info_).ok());
  const auto file = *SafetensorsFile::open(path());
  auto tensors = *file.tensors();
  std::erase_if(tensors, [](const auto& entry) { return entry.first.find("mlp.mlp.2") != std::string::npos; });
  ASSERT_TRUE(write_safetensors(path("b.safetensors"), tensors, file.metadata()).ok());
  EXPECT_THAT(std::string(read_adapter(path("b.safetensors"), layers_.targets).status().message()),
              HasSubstr("blocks.0.mlp.mlp.2"));
}

TEST_F(AdapterFileTest, RefusesConfigurationsItCannotCompute) {
  auto tensors = spelled(adapter_, "base_model.model.", ".lora_A.weight", ".lora_B.weight");
  for (const auto& [text, named] :
       std::vector<std::pair<std::string, std::string>>{{R"({"peft_type":"LORA","use_dora":true})", "use_dora"},
                                                        {R"({"peft_type":"LOHA"})", "peft_type"},
                                                        {R"({"rank_pattern":{"a":4}})", "rank_pattern"},
                                                        {"[1]", "adapter_config"}}) {
    ASSERT_TRUE(write_safetensors(path(), tensors, {{"lora_adapter_metadata", text}}).ok());
    EXPECT_THAT(std::string(read_adapter(path(), layers_.targets).status().message()), HasSubstr(named));
  }
}

TEST_F(AdapterFileTest, RefusesToWriteWeightsThatAreNotFinite) {
  adapter_.modules.begin()->second.b.fill_(1e6);  // overflows float16 only
  EXPECT_TRUE(write_adapter(path(), adapter_, info_, SaveDtype::kBFloat16).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(write_adapter(path(), adapter_, info_, SaveDtype::kFloat16)));
}

TEST_F(AdapterFileTest, SaysWhatIsMissing) {
  EXPECT_TRUE(absl::IsNotFound(read_adapter(path("absent"), layers_.targets).status()));
  ASSERT_TRUE(write_file_atomic(path("noise"), "this is not an adapter").ok());
  EXPECT_FALSE(read_adapter(path("noise"), layers_.targets).ok());
}

}  // namespace
}  // namespace espalier::nn
