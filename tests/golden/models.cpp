#include <torch/types.h>

#include <map>

#include "absl/strings/str_cat.h"
#include "image/resample.h"
#include "nn/io/safetensors.h"
#include "nn/networks/dinov3.h"
#include "nn/networks/slat_flow.h"
#include "nn/networks/ss_flow.h"
#include "nn/networks/ss_vae.h"
#include "tests/golden/golden.h"
#include "tests/golden/model_case.h"

namespace espalier::golden {
namespace {

using nn::FlowConfig;
using nn::SparseTensor;

Status run_ss_flow(const ModelCase& c, Report& report) {
  ESP_ASSIGN(auto config, FlowConfig::parse(c.args));
  ESP_ASSIGN(auto flow, nn::SparseStructureFlow::create(config, c.weights));
  c.compare(report, "out.y", flow->forward(c.io("in.x"), c.io("in.t"), c.io("in.cond")));
  return absl::OkStatus();
}

Status run_slat_flow(const ModelCase& c, Report& report) {
  ESP_ASSIGN(auto config, FlowConfig::parse(c.args));
  ESP_ASSIGN(auto flow, nn::SLatFlow::create(config, c.weights));
  const at::Tensor t = c.io("in.t");
  ESP_ASSIGN(auto x, SparseTensor::create(c.io("in.x.feats"), c.io("in.coords"), t.size(0)));
  const at::Tensor concat = c.has("in.concat_cond.feats") ? c.io("in.concat_cond.feats") : at::Tensor();
  c.compare(report, "out.y.feats", flow->forward(x, t, c.io("in.cond"), concat));
  if (!c.has("out.y_list.feats")) return absl::OkStatus();
  std::vector<at::Tensor> ragged;
  for (int64_t b = 0; b < t.size(0); ++b) ragged.push_back(c.io(absl::StrCat("in.cond_list.", b)));
  c.compare(report, "out.y_list.feats", flow->forward(x, t, ragged, concat));
  return absl::OkStatus();
}

Status run_ss_encoder(const ModelCase& c, Report& report) {
  ESP_ASSIGN(auto config, nn::SsVaeConfig::parse(c.args));
  ESP_ASSIGN(auto encoder, nn::SparseStructureEncoder::create(config, c.weights));
  const auto posterior = encoder->forward(c.io("in.x"));
  c.compare_if(report, "out.z", posterior.mean);
  c.compare_if(report, "out.mean", posterior.mean);
  c.compare_if(report, "out.logvar", posterior.log_variance);
  return absl::OkStatus();
}

Status run_ss_decoder(const ModelCase& c, Report& report) {
  ESP_ASSIGN(auto config, nn::SsVaeConfig::parse(c.args));
  ESP_ASSIGN(auto decoder, nn::SparseStructureDecoder::create(config, c.weights));
  const at::Tensor logits = decoder->forward(c.io("in.z"));
  c.compare(report, "out.logits", logits);
  c.compare_if(report, "out.coords_full", nn::occupied_coords(logits, logits.size(2)));
  c.compare_if(report, "out.coords_half", nn::occupied_coords(logits, logits.size(2) / 2));
  return absl::OkStatus();
}

// [H, W, 3] uint8 through the 8-bit LANCZOS resize.
Result<at::Tensor> resized(const at::Tensor& rgb, int size) {
  image::Image source{static_cast<int>(rgb.size(1)), static_cast<int>(rgb.size(0)), 3, {}};
  const at::Tensor flat = rgb.contiguous();
  source.pixels.assign(flat.const_data_ptr<uint8_t>(), flat.const_data_ptr<uint8_t>() + flat.numel());
  ESP_ASSIGN(auto target, image::resize(source, size, size, image::Filter::kLanczos));
  return at::from_blob(target.pixels.data(), {size, size, 3}, at::kByte).clone();
}

Status run_dinov3(const ModelCase& c, Report& report) {
  ESP_ASSIGN(auto config, nn::DinoV3Config::parse(c.args));
  ESP_ASSIGN(auto encoder, nn::DinoV3::create(config, c.weights));
  for (const auto& [name, image] : c.tensors) {
    if (name.rfind("in.image", 0) != 0) continue;
    c.compare(report, "out.tokens" + name.substr(8), encoder->forward(nn::normalize_pixels(image)));
  }
  if (!c.has("in.pil_u8")) return absl::OkStatus();
  ESP_ASSIGN(const at::Tensor small, resized(c.io("in.pil_u8"), c.config.at("feature_extractor").at("image_size")));
  report.compare("out.pil_resized_u8", small, c.io("out.pil_resized_u8"), 0, 0);
  c.compare(report, "out.tokens_pil", encoder->forward(nn::normalize_image(small)));
  return absl::OkStatus();
}

}  // namespace

Status run_models_case(const Case& golden, Report& report) {
  static const std::map<std::string, Status (*)(const ModelCase&, Report&)> kRunners = {
      {"primitives", run_primitives},
      {"SparseStructureFlowModel", run_ss_flow},
      {"SLatFlowModel", run_slat_flow},
      {"ElasticSLatFlowModel", run_slat_flow},
      {"SparseStructureEncoder", run_ss_encoder},
      {"SparseStructureDecoder", run_ss_decoder},
      {"DINOv3ViTModel", run_dinov3},
      {"SparseUnetVaeEncoder", run_sparse_encoder},
      {"FlexiDualGridVaeEncoder", run_sparse_encoder},
      {"SparseUnetVaeDecoder", run_sparse_decoder},
      {"FlexiDualGridVaeDecoder", run_sparse_decoder},
  };
  const auto runner = kRunners.find(golden.description.at("name").get<std::string>());
  if (runner == kRunners.end()) return absl::UnimplementedError("this network is not built yet");
  ESP_ASSIGN(auto model_case, ModelCase::open(golden));
  const at::NoGradGuard no_grad;
  return runner->second(model_case, report);
}

}  // namespace espalier::golden
