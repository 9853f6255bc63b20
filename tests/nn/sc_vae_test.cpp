#include "nn/networks/sc_vae.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <nlohmann/json.hpp>

#include "common/files.h"
#include "nn/io/load_model.h"
#include "nn/io/safetensors.h"
#include "nn/networks/voxel_channels.h"
#include "nn/sparse/ops.h"
#include "tests/nn/networks.h"

namespace espalier::nn {
namespace {

using nlohmann::json;

json encoder_args() {
  return {{"in_channels", 6},
          {"model_channels", {8, 16, 32}},
          {"latent_channels", 4},
          {"num_blocks", {0, 1, 1}},
          {"block_type", json::array({"SparseConvNeXtBlock3d", "SparseConvNeXtBlock3d", "SparseConvNeXtBlock3d"})},
          {"down_block_type", json::array({"SparseResBlockS2C3d", "SparseResBlockS2C3d"})},
          {"block_args", json::array({json::object(), json::object(), {{"use_checkpoint", true}}})}};
}

json decoder_args() {
  json args = encoder_args();
  args.erase("in_channels");
  args.erase("down_block_type");
  args["model_channels"] = {32, 16, 8};
  args["num_blocks"] = {1, 1, 0};
  args["up_block_type"] = {"SparseResBlockC2S3d", "SparseResBlockC2S3d"};
  args["out_channels"] = 5;
  return args;
}

ScVaeConfig parsed(const json& args) {
  auto config = ScVaeConfig::parse(args);
  EXPECT_TRUE(config.ok()) << config.status();
  return *std::move(config);
}

// Weights of a network in use: no path stays closed by a zero.
template <class Network>
std::unique_ptr<Network> network(const ScVaeConfig& config, uint64_t seed) {
  auto wide = config;
  wide.dtype = at::kFloat;
  auto gen = generator(seed);
  auto made = Network::create(config, perturbed(Network::init_parameters(wide, gen), gen, 0.05));
  EXPECT_TRUE(made.ok()) << made.status();
  return *std::move(made);
}

// Random cells of `samples` grids; the last sample is empty.
SparseTensor cells(int64_t samples, int64_t side, int64_t channels, double density, uint64_t seed) {
  auto gen = generator(seed);
  at::Tensor occupied = torch::empty({samples, side, side, side}).uniform_(0, 1, gen) < density;
  occupied[samples - 1] = false;
  const at::Tensor coords = occupied.nonzero().to(at::kInt);
  auto x = SparseTensor::create(torch::empty({coords.size(0), channels}).normal_(0, 1, gen), coords, samples);
  EXPECT_TRUE(x.ok()) << x.status();
  return *std::move(x);
}

TEST(ScVaeConfig, NamesEveryFault) {
  struct Row {
    const char* field;
    json value;
    const char* message;
  };
  const Row rows[] = {
      {"latent_channels", 0, "latent_channels must be a whole number"},
      {"num_blocks", {1, 1}, "num_blocks must have 3 entries"},
      {"model_channels", {32, 16, 7}, "cannot go from 16 to 7"},
      {"up_block_type", {"SparseResBlockS2C3d", "SparseResBlockC2S3d"}, "up_block_type must be up to"},
      {"up_block_type", json::array({"SparseResBlockC2S3d"}), "one entry fewer"},
      {"block_type", json::array({"SparseConvNeXtBlock3d", "Other", "Other"}), "block_type"},
      {"block_args", json::array({{{"mlp_ratio", 2}}, json::object(), json::object()}), "unknown argument mlp_ratio"},
      {"surprise", 1, "surprise is not a known argument"},
  };
  for (const auto& row : rows) {
    json args = decoder_args();
    args[row.field] = row.value;
    const auto config = ScVaeConfig::parse(args);
    ASSERT_FALSE(config.ok()) << row.field;
    EXPECT_NE(config.status().ToString().find(row.message), std::string::npos) << config.status();
  }
}

TEST(ScVaeConfig, TakesTheDualGridClassesChannelsAsGiven) {
  json encoder = encoder_args(), decoder = decoder_args();
  encoder.erase("in_channels");
  decoder.erase("out_channels");
  decoder["resolution"] = 256;
  EXPECT_EQ(parsed(encoder).io_channels, 6);
  EXPECT_EQ(parsed(decoder).io_channels, 7);
}

TEST(ScVaeEncoder, EndsOnTheSortedParentsOfTheVoxels) {
  const auto encoder = network<ScVaeEncoder>(parsed(encoder_args()), 1);
  const auto x = cells(3, 9, 6, 0.2, 2);
  const auto posterior = encoder->forward(x);
  at::Tensor parents = x.coords.clone();
  parents.narrow(1, 1, 3).bitwise_right_shift_(2);
  EXPECT_TRUE(posterior.mean.coords.equal(std::get<0>(at::unique_dim(parents, 0))));
  EXPECT_EQ(posterior.mean.feats.sizes(), posterior.log_variance.sizes());
  EXPECT_EQ(posterior.mean.feats.size(1), 4);
  EXPECT_EQ(posterior.mean.batch_size(), 3);
  EXPECT_EQ(posterior.mean.offsets[2], posterior.mean.offsets[3]);  // the empty sample keeps its place
}

TEST(ScVaeDecoder, PlacesTheChildrenItPredicts) {
  const auto decoder = network<ScVaeDecoder>(parsed(decoder_args()), 3);
  const auto latent = cells(2, 4, 4, 0.5, 4);
  const auto decoded = decoder->forward(latent);
  ASSERT_EQ(decoded.subdivisions.size(), 2);
  SparseTensor level = latent;
  for (int64_t i = 0; i < 2; ++i) {
    EXPECT_TRUE(decoder->upsample(latent, i).equal(level.coords));
    const auto map = child_map(level, decoded.subdivisions[i] > 0);
    EXPECT_GT(map.coords.size(0), 0);
    EXPECT_LT(map.coords.size(0), 8 * level.coords.size(0));
    level = {torch::zeros({map.coords.size(0), 1}), map.coords, map.offsets};
  }
  EXPECT_TRUE(decoded.voxels.coords.equal(level.coords));
  EXPECT_EQ(decoded.voxels.feats.sizes(), at::IntArrayRef({level.coords.size(0), 5}));
}

TEST(ScVaeDecoder, FollowsAGuideInsteadOfItsPrediction) {
  const auto decoder = network<ScVaeDecoder>(parsed(decoder_args()), 3);
  const auto latent = cells(2, 4, 4, 0.5, 4);
  const auto predicted = decoder->forward(latent);
  const auto repeated = decoder->forward(latent, predicted.subdivisions);
  EXPECT_TRUE(repeated.voxels.feats.equal(predicted.voxels.feats));
  const at::Tensor first = torch::zeros({latent.rows(), 8});
  first.select(1, 5).fill_(1);
  const at::Tensor second = torch::ones({latent.rows(), 8});
  const auto guided = decoder->forward(latent, {first, second});
  EXPECT_EQ(guided.voxels.rows(), 8 * latent.rows());
}

TEST(ScVaeDecoder, WithoutPredictionNeedsAGuide) {
  json args = decoder_args();
  args["pred_subdiv"] = false;
  const auto decoder = network<ScVaeDecoder>(parsed(args), 5);
  const auto latent = cells(2, 4, 4, 0.5, 4);
  EXPECT_THROW(decoder->forward(latent), c10::Error);
  EXPECT_THROW(decoder->forward(latent, {torch::ones({latent.rows(), 8})}), c10::Error);  // one level of two
}

TEST(ScVae, TheGuideLeadsBackToTheVoxels) {
  const auto encoder = network<ScVaeEncoder>(parsed(encoder_args()), 1);
  const auto decoder = network<ScVaeDecoder>(parsed(decoder_args()), 3);
  const auto x = cells(3, 9, 6, 0.2, 2);
  const auto guide = guide_to(x, 2);
  const auto decoded = decoder->forward(encoder->forward(x).mean, guide.subdivisions);
  EXPECT_TRUE(decoded.voxels.coords.equal(x.coords.index_select(0, guide.order)));
  EXPECT_EQ(decoded.voxels.offsets, x.offsets);
}

TEST(ScVae, LearnsToReconstructOneShape) {
  auto gen = generator(10);
  auto encoder_weights = ScVaeEncoder::init_parameters(parsed(encoder_args()), gen);
  auto decoder_weights = ScVaeDecoder::init_parameters(parsed(decoder_args()), gen);
  require_gradients(encoder_weights);
  require_gradients(decoder_weights);
  const auto encoder = *ScVaeEncoder::create(parsed(encoder_args()), encoder_weights);
  const auto decoder = *ScVaeDecoder::create(parsed(decoder_args()), decoder_weights);
  const auto x = cells(2, 8, 6, 0.2, 11);
  const auto guide = guide_to(x, 2);
  const at::Tensor target = x.feats.narrow(1, 0, 5).index_select(0, guide.order);
  double first = 0, last = 0;
  for (int step = 0; step < 25; ++step) {
    const auto decoded = decoder->forward(encoder->forward(x).mean, guide.subdivisions);
    const auto loss = at::mse_loss(decoded.voxels.feats, target);
    loss.backward();
    const at::NoGradGuard no_grad;
    for (auto* weights : {&encoder_weights, &decoder_weights}) {
      for (auto& [name, tensor] : *weights) {
        if (!tensor.grad().defined()) continue;
        tensor.sub_(tensor.grad().sign(), 2e-3);
        tensor.mutable_grad().zero_();
      }
    }
    (step == 0 ? first : last) = loss.item<double>();
  }
  EXPECT_LT(last, 0.7 * first);
}

// The subdivision is held: its decision has no gradient.
TEST(ScVaeDecoder, GradientAgreesWithDifferences) {
  const auto config = parsed(decoder_args());
  auto gen = generator(6);
  auto weights = perturbed(ScVaeDecoder::init_parameters(config, gen), gen, 0.05);
  const auto latent = cells(2, 3, 4, 0.6, 7);
  const auto build = [&](const TensorMap& tensors) { return *ScVaeDecoder::create(config, tensors); };
  const auto guide = build(weights)->forward(latent).subdivisions;
  const auto loss = [&](const TensorMap& tensors) {
    return build(tensors)->forward(latent, guide).voxels.feats.square().mean();
  };
  TensorMap direction, leaves = detach_copy(weights);
  for (const auto& [name, tensor] : weights) direction[name] = torch::empty_like(tensor).normal_(0, 1, gen);
  require_gradients(leaves);
  loss(leaves).backward();
  double analytic = 0;
  TensorMap above, below;
  constexpr double kStep = 1e-4;
  for (const auto& [name, tensor] : weights) {
    if (leaves[name].grad().defined()) analytic += (leaves[name].grad() * direction[name]).sum().item<double>();
    above[name] = tensor + kStep * direction[name];
    below[name] = tensor - kStep * direction[name];
  }
  const at::NoGradGuard no_grad;
  const double numeric = (loss(above) - loss(below)).item<double>() / (2 * kStep);
  EXPECT_NEAR(analytic, numeric, 0.02 * std::abs(numeric));
}

TEST(ScVaeDecoder, ComputesTheSameWithAndWithoutAGraph) {
  const auto decoder = network<ScVaeDecoder>(parsed(decoder_args()), 3);
  const auto latent = cells(2, 12, 4, 0.7, 8);
  const auto with_graph = decoder->forward(latent);
  ASSERT_GT(with_graph.voxels.rows(), 8192);  // several pieces of rows
  const at::NoGradGuard no_grad;
  EXPECT_TRUE(decoder->forward(latent, with_graph.subdivisions)
                  .voxels.feats.allclose(with_graph.voxels.feats.detach(), 1e-5, 1e-5));
}

TEST(ScVaeDecoder, HalfBlocksStayCloseToSinglePrecision) {
  json args = decoder_args();
  const auto wide = network<ScVaeDecoder>(parsed(args), 9);
  args["use_fp16"] = true;
  const auto half = network<ScVaeDecoder>(parsed(args), 9);
  EXPECT_EQ(half->parameters().at("blocks.0.1.conv1.weight").scalar_type(), at::kHalf);
  EXPECT_EQ(half->parameters().at("blocks.0.1.norm1.weight").scalar_type(), at::kFloat);
  const auto latent = cells(2, 4, 4, 0.5, 4);
  const auto want = wide->forward(latent);
  const auto got = half->forward(latent, want.subdivisions);
  EXPECT_EQ(got.voxels.feats.scalar_type(), at::kFloat);
  EXPECT_TRUE(got.voxels.feats.allclose(want.voxels.feats, 2e-2, 2e-2));
}

// Both halves of a base, written as the release's files are: every tensor in half precision.
TEST(LoadScVae, ReadsBothHalvesAndRefusesTheOther) {
  const auto folder = TempDir::create();
  ASSERT_TRUE(folder.ok());
  const auto write = [&](const std::string& stem, const char* name, const json& args, TensorMap weights) {
    for (auto& [key, tensor] : weights) tensor = tensor.to(at::kHalf);
    EXPECT_TRUE(write_file_atomic(folder->path() / (stem + ".json"), json{{"name", name}, {"args", args}}.dump()).ok());
    EXPECT_TRUE(write_safetensors(folder->path() / (stem + ".safetensors"), weights).ok());
  };
  write("encoder", "SparseUnetVaeEncoder", encoder_args(),
        ScVaeEncoder::init_parameters(parsed(encoder_args()), generator(1)));
  write("decoder", "SparseUnetVaeDecoder", decoder_args(),
        ScVaeDecoder::init_parameters(parsed(decoder_args()), generator(2)));
  const json models = {{"tex_slat_encoder", "encoder"}, {"tex_slat_decoder", "decoder"}};
  ASSERT_TRUE(write_file_atomic(folder->path() / "pipeline.json", json{{"args", {{"models", models}}}}.dump()).ok());
  const auto base = BaseModel::open(folder->path());
  ASSERT_TRUE(base.ok()) << base.status();
  const auto encoder = load_sc_encoder(*base, "tex_slat_encoder");
  ASSERT_TRUE(encoder.ok()) << encoder.status();
  EXPECT_EQ((*encoder)->parameters().at("input_layer.weight").scalar_type(), at::kFloat);
  EXPECT_TRUE(load_sc_decoder(*base, "tex_slat_decoder").ok());
  EXPECT_TRUE(absl::IsInvalidArgument(load_sc_decoder(*base, "tex_slat_encoder").status()));
  EXPECT_TRUE(absl::IsNotFound(load_sc_decoder(*base, "shape_slat_decoder").status()));
}

TEST(VoxelChannels, CentreBytesAndBits) {
  const at::Tensor vertices = torch::tensor({0, 255, 51}, at::kByte).view({1, 3});
  const at::Tensor got = dual_grid_channels(vertices, torch::tensor({0b101}, at::kByte));
  EXPECT_TRUE(got.allclose(torch::tensor({-0.5F, 0.5F, -0.3F, 0.5F, -0.5F, 0.5F}).view({1, 6})));
  const at::Tensor attributes = torch::tensor({0, 255, 0, 255, 0, 255}, at::kByte).view({1, 6});
  EXPECT_TRUE(decoded_attributes(attribute_channels(attributes)).allclose(attributes.to(at::kFloat) / 255));
}

TEST(DecodedDualGrid, ReachesBeyondTheVoxelByTheMargin) {
  const auto grid = decoded_dual_grid(torch::tensor({100.F, -100.F, 0.F, 1.F, 0.F, -1.F, 30.F}).view({1, 7}), 0.5);
  EXPECT_TRUE(grid.vertices.allclose(torch::tensor({1.5F, -0.5F, 0.5F})));
  EXPECT_TRUE(grid.intersected.equal(torch::tensor({true, false, false}).view({1, 3})));  // 0 is not crossed
  EXPECT_FLOAT_EQ(grid.split_weight.item<float>(), 30);
}

}  // namespace
}  // namespace espalier::nn
