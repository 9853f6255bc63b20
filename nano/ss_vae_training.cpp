#include "nano/ss_vae_training.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <torch/types.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "common/log.h"
#include "nano/architecture.h"
#include "nano/corpus.h"
#include "nano/evaluation.h"
#include "nano/model_files.h"
#include "nano/recipe.h"
#include "nano/training_run.h"
#include "nn/networks/ss_vae.h"
#include "train/flow_loss.h"
#include "train/loop.h"

namespace espalier::nano {
namespace {

constexpr int64_t kVaeBatch = 16;
constexpr double kVaeLearningRate = 2e-3;
// The reference's 1e-6 leaves the latent full of detail that the small denoiser would have to model; 1e-2 costs no
// accuracy.
constexpr double kSsKlWeight = 1e-2;

struct Vae {
  nn::TensorMap encoder_parameters, decoder_parameters;
  std::unique_ptr<nn::SparseStructureEncoder> encoder;
  std::unique_ptr<nn::SparseStructureDecoder> decoder;
};

Result<Vae> fresh_vae(uint64_t seed) {
  Vae vae;
  at::Generator generator = at::detail::createCPUGenerator(seed);
  ESP_ASSIGN(const auto encoder_config, nn::SsVaeConfig::parse(ss_encoder_config().at("args")));
  ESP_ASSIGN(const auto decoder_config, nn::SsVaeConfig::parse(ss_decoder_config().at("args")));
  vae.encoder_parameters = nn::SparseStructureEncoder::init_parameters(encoder_config, generator);
  vae.decoder_parameters = nn::SparseStructureDecoder::init_parameters(decoder_config, generator);
  ESP_ASSIGN(vae.encoder, nn::SparseStructureEncoder::create(encoder_config, vae.encoder_parameters));
  ESP_ASSIGN(vae.decoder, nn::SparseStructureDecoder::create(decoder_config, vae.decoder_parameters));
  return vae;
}

// One of the 48 symmetries of the cube applied to [16, 16, 16].
at::Tensor random_symmetry(const at::Tensor& shape, PhiloxStream random) {
  std::array<int64_t, 3> axes{0, 1, 2};
  for (uint32_t i = 2; i > 0; --i) std::swap(axes[i], axes[random.below(i + 1)]);
  std::vector<int64_t> flipped;
  for (int64_t axis = 0; axis < 3; ++axis) {
    if (random.below(2) == 1) flipped.push_back(axis);
  }
  return shape.permute({axes[0], axes[1], axes[2]}).flip(flipped);
}

at::Tensor vae_loss(const Vae& vae, const at::Tensor& shapes, std::span<const train::SampleRef> samples,
                    uint64_t seed) {
  std::vector<at::Tensor> batch, noise;
  for (const train::SampleRef& s : samples) {
    batch.push_back(
        random_symmetry(shapes[s.item], train::random_stream(seed, train::Purpose::kAugment, s.step, s.slot)));
    noise.push_back(train::normal_noise({kLatentChannels, kLatentSide, kLatentSide, kLatentSide},
                                        train::random_stream(seed, train::Purpose::kPosterior, s.step, s.slot)));
  }
  const at::Tensor occupancy = at::stack(batch).unsqueeze(1).to(at::kFloat);
  const nn::Posterior posterior = vae.encoder->forward(occupancy);
  const at::Tensor z = posterior.mean + (posterior.log_variance * 0.5).exp() * at::stack(noise);
  const at::Tensor reconstruction = at::binary_cross_entropy_with_logits(vae.decoder->forward(z), occupancy);
  const at::Tensor kl =
      0.5 * (posterior.mean.square() + posterior.log_variance.exp() - 1 - posterior.log_variance).mean();
  return reconstruction + kSsKlWeight * kl;
}

// Mean IoU of decoded against given occupancy [N, 16, 16, 16].
double reconstruction_iou(const Vae& vae, const at::Tensor& occupancy) {
  const at::NoGradGuard no_grad;
  double sum = 0;
  for (const at::Tensor& part : occupancy.split(64)) {
    const at::Tensor z = vae.encoder->forward(part.unsqueeze(1).to(at::kFloat)).mean;
    sum += iou(vae.decoder->forward(z).squeeze(1) > 0, part > 0).sum().item<double>();
  }
  return sum / static_cast<double>(occupancy.size(0));
}

double latent_std(const Vae& vae, const at::Tensor& occupancy) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> means;
  for (const at::Tensor& part : occupancy.split(64)) {
    means.push_back(vae.encoder->forward(part.unsqueeze(1).to(at::kFloat)).mean);
  }
  return at::cat(means).std().item<double>();
}

}  // namespace

void fold_latent_std(nn::TensorMap& encoder, nn::TensorMap& decoder, double std) {
  const at::NoGradGuard no_grad;
  at::Tensor& weight = encoder.at("out_layer.2.weight");  // [2 * latent, C, 3, 3, 3]: means, then log-variances
  at::Tensor& bias = encoder.at("out_layer.2.bias");
  const int64_t latent = weight.size(0) / 2;
  weight.narrow(0, 0, latent).div_(std);
  bias.narrow(0, 0, latent).div_(std);
  bias.narrow(0, latent, latent).sub_(2 * std::log(std));
  decoder.at("input_layer.weight").mul_(std);
}

Status train_ss_vae(const Recipe& recipe) {
  ESP_ASSIGN(const at::Tensor shapes,
             load_or_make_shapes(recipe.seed + 2, recipe.shapes, recipe.threads, recipe.work / "shapes.safetensors"));
  ESP_ASSIGN(const at::Tensor objects, object_occupancies(recipe.seed, recipe.objects, recipe.threads));
  ESP_ASSIGN(const at::Tensor held, object_occupancies(recipe.seed + 1, recipe.held, recipe.threads));
  ESP_ASSIGN(Vae vae, fresh_vae(recipe.seed));
  std::vector<train::Parameter> trained;
  for (const auto& [name, tensor] : vae.encoder_parameters) trained.push_back({"encoder." + name, tensor});
  for (const auto& [name, tensor] : vae.decoder_parameters) trained.push_back({"decoder." + name, tensor});

  train::LoopConfig config = loop_config(recipe, "ss-vae", recipe.vae_steps, kVaeBatch);
  config.schedule = {train::Schedule::Kind::kCosine, kVaeLearningRate, 100, recipe.vae_steps, 0.02};
  const auto loss = [&](std::span<const train::SampleRef> samples) {
    return vae_loss(vae, shapes, samples, recipe.seed);
  };
  ESP_TRY(run_stage("ss-vae", config, trained, static_cast<size_t>(shapes.size(0)), loss, {}));

  const double std = latent_std(vae, objects);
  fold_latent_std(vae.encoder_parameters, vae.decoder_parameters, std);
  log_info("sparse-structure VAE trained", {{"held_out_iou", reconstruction_iou(vae, held)}, {"latent_std", std}});
  ESP_TRY(save_checkpoint(recipe.base, kSsEncoderStem, ss_encoder_config(), vae.encoder_parameters));
  return save_checkpoint(recipe.base, kSsDecoderStem, ss_decoder_config(), vae.decoder_parameters);
}

}  // namespace espalier::nano
