#include "nano/ss_vae_training.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "nano/architecture.h"
#include "nn/networks/ss_vae.h"

namespace espalier::nano {
namespace {

struct Halves {
  nn::TensorMap encoder_weights, decoder_weights;
  std::unique_ptr<nn::SparseStructureEncoder> encoder;
  std::unique_ptr<nn::SparseStructureDecoder> decoder;
};

Halves random_vae() {
  Halves halves;
  const auto encoder = *nn::SsVaeConfig::parse(ss_encoder_config().at("args"));
  const auto decoder = *nn::SsVaeConfig::parse(ss_decoder_config().at("args"));
  at::Generator generator = at::detail::createCPUGenerator(4);
  halves.encoder_weights = nn::SparseStructureEncoder::init_parameters(encoder, generator);
  halves.decoder_weights = nn::SparseStructureDecoder::init_parameters(decoder, generator);
  halves.encoder = *nn::SparseStructureEncoder::create(encoder, halves.encoder_weights);
  halves.decoder = *nn::SparseStructureDecoder::create(decoder, halves.decoder_weights);
  return halves;
}

TEST(FoldLatentStd, ScalesTheLatentAndLeavesTheDecodedShapeAsItWas) {
  const at::NoGradGuard no_grad;
  Halves vae = random_vae();
  const at::Tensor occupancy = (at::rand({2, 1, 16, 16, 16}, at::detail::createCPUGenerator(5)) > 0.8).to(at::kFloat);
  const nn::Posterior before = vae.encoder->forward(occupancy);
  const at::Tensor decoded = vae.decoder->forward(before.mean);

  fold_latent_std(vae.encoder_weights, vae.decoder_weights, 0.37);

  const nn::Posterior after = vae.encoder->forward(occupancy);
  EXPECT_TRUE(at::allclose(after.mean * 0.37, before.mean, 1e-5, 1e-5));
  EXPECT_TRUE(at::allclose((after.log_variance * 0.5).exp() * 0.37, (before.log_variance * 0.5).exp(), 1e-4, 1e-5));
  EXPECT_TRUE(at::allclose(vae.decoder->forward(after.mean), decoded, 1e-4, 1e-5));
}

}  // namespace
}  // namespace espalier::nano
