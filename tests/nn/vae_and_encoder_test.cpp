#include <gtest/gtest.h>
#include <torch/types.h>

#include <nlohmann/json.hpp>

#include "nn/networks/dinov3.h"
#include "nn/networks/ss_vae.h"
#include "tests/nn/networks.h"

namespace espalier::nn {
namespace {

SsVaeConfig small_vae() {
  SsVaeConfig config;
  config.latent_channels = 3;
  config.num_res_blocks = config.num_res_blocks_middle = 1;
  config.channels = {4, 8};
  return config;
}

TEST(SparseStructureVae, HalvesTheGridPerLevelAndDoublesItBack) {
  const auto config = small_vae();
  const auto encoder =
      SparseStructureEncoder::create(config, SparseStructureEncoder::init_parameters(config, generator(1)));
  const auto decoder =
      SparseStructureDecoder::create(config, SparseStructureDecoder::init_parameters(config, generator(2)));
  ASSERT_TRUE(encoder.ok() && decoder.ok());
  const auto posterior = (*encoder)->forward(torch::ones({2, 1, 8, 8, 8}));
  EXPECT_EQ(posterior.mean.sizes(), at::IntArrayRef({2, 3, 4, 4, 4}));
  EXPECT_EQ(posterior.log_variance.sizes(), posterior.mean.sizes());
  EXPECT_EQ((*decoder)->forward(posterior.mean).sizes(), at::IntArrayRef({2, 1, 8, 8, 8}));
}

TEST(SparseStructureVae, LearnsToReconstructOneShape) {
  const auto config = small_vae();
  auto encoder_weights = SparseStructureEncoder::init_parameters(config, generator(1));
  auto decoder_weights = SparseStructureDecoder::init_parameters(config, generator(2));
  require_gradients(encoder_weights);
  require_gradients(decoder_weights);
  const auto encoder = SparseStructureEncoder::create(config, encoder_weights);
  const auto decoder = SparseStructureDecoder::create(config, decoder_weights);
  ASSERT_TRUE(encoder.ok() && decoder.ok());
  at::Tensor target = torch::zeros({1, 1, 8, 8, 8});
  target.slice(2, 2, 6).slice(3, 1, 5).fill_(1);
  double first = 0, last = 0;
  for (int step = 0; step < 60; ++step) {
    const auto loss =
        at::binary_cross_entropy_with_logits((*decoder)->forward((*encoder)->forward(target).mean), target);
    loss.backward();
    const at::NoGradGuard no_grad;
    for (auto* weights : {&encoder_weights, &decoder_weights}) {
      for (auto& [name, tensor] : *weights) {
        ASSERT_TRUE(tensor.grad().defined()) << name;
        tensor.sub_(tensor.grad().sign(), 3e-3);
        tensor.mutable_grad().zero_();
      }
    }
    (step == 0 ? first : last) = loss.item<double>();
  }
  EXPECT_LT(last, 0.5 * first);
}

TEST(SparseStructureVae, RunsHalfWeightsWiderWhenAsked) {
  auto config = small_vae();
  const auto weights = SparseStructureDecoder::init_parameters(config, generator(1));
  const at::Tensor z = torch::empty({1, 3, 4, 4, 4}).normal_(0, 1, generator(2));
  const at::Tensor want = (*SparseStructureDecoder::create(config, weights))->forward(z);
  config.dtype = at::kHalf;
  const auto half = SparseStructureDecoder::create(config, weights);
  ASSERT_TRUE(half.ok());
  EXPECT_EQ((*half)->parameters().at("blocks.0.conv1.weight").scalar_type(), at::kHalf);
  EXPECT_EQ((*half)->parameters().at("blocks.0.norm1.weight").scalar_type(), at::kFloat);
  EXPECT_LT(((*half)->forward(z) - want).abs().max().item<float>(), 2e-2F);
  config.dtype = at::kFloat;
  const auto wide = SparseStructureDecoder::create(config, (*half)->parameters());
  ASSERT_TRUE(wide.ok());
  EXPECT_EQ((*wide)->parameters().at("blocks.0.conv1.weight").scalar_type(), at::kFloat);
}

TEST(SparseStructureVae, PoolsOccupancyBeforeListingCells) {
  at::Tensor logits = torch::full({2, 1, 4, 4, 4}, -1.0F);
  logits[0][0][3][2][1] = 1;
  logits[0][0][2][3][0] = 2;
  logits[1][0][0][1][3] = 0.5;
  logits[0][0][0][0][0] = 0;  // exactly zero is empty
  const auto rows = [](const std::vector<int>& values) { return torch::tensor(values, at::kInt).view({-1, 4}); };
  EXPECT_TRUE(occupied_coords(logits, 4).equal(rows({0, 2, 3, 0, 0, 3, 2, 1, 1, 0, 1, 3})));
  EXPECT_TRUE(occupied_coords(logits, 2).equal(rows({0, 1, 1, 0, 1, 0, 0, 1})));
  EXPECT_THROW(occupied_coords(logits, 3), c10::Error);
}

TEST(SsVaeConfig, RejectsBadArguments) {
  const nlohmann::json good = {{"in_channels", 1}, {"latent_channels", 8}, {"num_res_blocks", 2}, {"channels", {4, 8}}};
  ASSERT_TRUE(SsVaeConfig::parse(good).ok());
  const nlohmann::json patches[] = {{{"channels", nlohmann::json::array()}},
                                    {{"channels", {0}}},
                                    {{"latent_channels", 0}},
                                    {{"norm_type", "batch"}},
                                    {{"norm_type", "group"}},
                                    {{"other", 1}}};
  for (const auto& patch : patches) {
    auto args = good;
    args.update(patch);
    EXPECT_FALSE(SsVaeConfig::parse(args).ok()) << patch.dump();
  }
}

DinoV3Config small_encoder() {
  DinoV3Config config;
  config.patch_size = 4;
  config.hidden_size = 16;
  config.intermediate_size = 32;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 2;
  return config;
}

TEST(DinoV3, ReturnsPrefixAndPatchTokensOfUnitScale) {
  const auto config = small_encoder();
  const auto encoder = DinoV3::create(config, DinoV3::init_parameters(config, generator(1)));
  ASSERT_TRUE(encoder.ok()) << encoder.status();
  const at::Tensor tokens = (*encoder)->forward(torch::empty({2, 3, 8, 12}).normal_(0, 1, generator(2)));
  EXPECT_EQ(tokens.sizes(), at::IntArrayRef({2, 1 + 4 + 6, 16}));
  EXPECT_LT(tokens.mean(-1).abs().max().item<float>(), 1e-5F);
  EXPECT_NEAR(tokens.square().mean().item<float>(), 1, 1e-3);
  EXPECT_THROW((*encoder)->forward(torch::zeros({1, 3, 6, 8})), c10::Error);
}

TEST(DinoV3, SeesWhereAPatchIs) {
  const auto config = small_encoder();
  const auto encoder = DinoV3::create(config, DinoV3::init_parameters(config, generator(1)));
  ASSERT_TRUE(encoder.ok());
  at::Tensor left = torch::zeros({1, 3, 16, 16}), right = left.clone();
  left.slice(3, 0, 4).fill_(1);
  right.slice(3, 12, 16).fill_(1);
  const at::Tensor difference = (*encoder)->forward(left).select(1, 0) - (*encoder)->forward(right).select(1, 0);
  EXPECT_GT(difference.abs().max().item<float>(), 1e-4F);
}

TEST(DinoV3, PassesGradientsToEveryUsedParameter) {
  const auto config = small_encoder();
  auto weights = DinoV3::init_parameters(config, generator(1));
  require_gradients(weights);
  const auto encoder = DinoV3::create(config, weights);
  ASSERT_TRUE(encoder.ok());
  const at::Tensor tokens = (*encoder)->forward(torch::empty({1, 3, 8, 8}).normal_(0, 1, generator(2)));
  (tokens * torch::empty_like(tokens).normal_(0, 1, generator(3))).sum().backward();
  for (const auto& [name, tensor] : weights) {
    const bool unused = name.rfind("norm.", 0) == 0 || name == "embeddings.mask_token";
    EXPECT_EQ(tensor.grad().defined(), !unused) << name;
  }
}

TEST(DinoV3, NormalisesEightBitImagesChannelByChannel) {
  at::Tensor image = torch::zeros({2, 3, 3}, at::kByte);
  image[1][2][0] = 255;
  const at::Tensor pixels = normalize_image(image);
  EXPECT_EQ(pixels.sizes(), at::IntArrayRef({1, 3, 2, 3}));
  EXPECT_NEAR(pixels[0][0][1][2].item<float>(), (1 - 0.485) / 0.229, 1e-5);
  EXPECT_NEAR(pixels[0][2][0][0].item<float>(), -0.406 / 0.225, 1e-5);
  EXPECT_THROW(normalize_image(torch::zeros({2, 3, 3})), c10::Error);
}

TEST(DinoV3Config, RejectsWhatIsNotBuilt) {
  const nlohmann::json good = {{"hidden_size", 16},
                               {"intermediate_size", 32},
                               {"num_hidden_layers", 1},
                               {"num_attention_heads", 2},
                               {"architectures", {"DINOv3ViTModel"}}};
  ASSERT_TRUE(DinoV3Config::parse(good).ok());
  for (const nlohmann::json& patch :
       {nlohmann::json{{"use_gated_mlp", true}}, nlohmann::json{{"hidden_act", "silu"}},
        nlohmann::json{{"num_attention_heads", 3}}, nlohmann::json{{"hidden_size", "x"}}}) {
    auto args = good;
    args.update(patch);
    EXPECT_FALSE(DinoV3Config::parse(args).ok()) << patch.dump();
  }
}

}  // namespace
}  // namespace espalier::nn
