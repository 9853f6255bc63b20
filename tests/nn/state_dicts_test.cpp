// The parameter tables of the official networks, against the recorded state dictionaries of the released models.
#include <gtest/gtest.h>
#include <torch/types.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "nn/networks/dinov3.h"
#include "nn/networks/sc_vae.h"
#include "nn/networks/slat_flow.h"
#include "nn/networks/ss_flow.h"
#include "nn/networks/ss_vae.h"

namespace espalier::nn {
namespace {

using Specs = Result<std::vector<ParameterSpec>>;
using nlohmann::json;

template <class Network, class Config>
Specs specs_of(const json& args) {
  ESP_ASSIGN(const Config config, Config::parse(args));
  return Network::parameter_specs(config);
}

const std::map<std::string, Specs (*)(const json&)>& networks() {
  static const std::map<std::string, Specs (*)(const json&)> table = {
      {"SparseStructureFlowModel", specs_of<SparseStructureFlow, FlowConfig>},
      {"SLatFlowModel", specs_of<SLatFlow, FlowConfig>},
      {"SparseStructureEncoder", specs_of<SparseStructureEncoder, SsVaeConfig>},
      {"SparseStructureDecoder", specs_of<SparseStructureDecoder, SsVaeConfig>},
      {"DINOv3ViTModel", specs_of<DinoV3, DinoV3Config>},
      {"SparseUnetVaeEncoder", specs_of<ScVaeEncoder, ScVaeConfig>},
      {"FlexiDualGridVaeEncoder", specs_of<ScVaeEncoder, ScVaeConfig>},
      {"SparseUnetVaeDecoder", specs_of<ScVaeDecoder, ScVaeConfig>},
      {"FlexiDualGridVaeDecoder", specs_of<ScVaeDecoder, ScVaeConfig>},
  };
  return table;
}

class OfficialModel : public testing::TestWithParam<const char*> {};

TEST_P(OfficialModel, HasExactlyTheReleasedKeysShapesAndTypes) {
  std::ifstream file(std::string(ESP_SOURCE_DIR "/tests/state_dicts/") + GetParam() + ".json");
  ASSERT_TRUE(file.good());
  const json recorded = json::parse(file);
  const auto specs = networks().at(recorded["class"])(recorded["args"]);
  ASSERT_TRUE(specs.ok()) << specs.status();
  std::map<std::string, std::string> got, want;
  for (const auto& spec : *specs) {
    got[spec.name] = json(spec.shape).dump() + " " + c10::toString(spec.dtype);
  }
  static const std::map<std::string, std::string> kTypes = {{"F32", "Float"}, {"BF16", "BFloat16"}, {"F16", "Half"}};
  for (const auto& [name, entry] : recorded["tensors"].items()) {
    if (name == "rope_phases") continue;  // recomputed, absent from the released file
    want[name] = entry[1].dump() + " " + kTypes.at(entry[0].get<std::string>());
  }
  EXPECT_EQ(got, want);
}

INSTANTIATE_TEST_SUITE_P(All, OfficialModel,
                         testing::Values("ss_flow_img_dit_1_3B_64_bf16", "slat_flow_img2shape_dit_1_3B_512_bf16",
                                         "slat_flow_img2shape_dit_1_3B_1024_bf16",
                                         "slat_flow_imgshape2tex_dit_1_3B_512_bf16",
                                         "slat_flow_imgshape2tex_dit_1_3B_1024_bf16", "ss_enc_conv3d_16l8_fp16",
                                         "ss_dec_conv3d_16l8_fp16", "dinov3_vitl16", "shape_enc_next_dc_f16c32_fp16",
                                         "shape_dec_next_dc_f16c32_fp16", "tex_enc_next_dc_f16c32_fp16",
                                         "tex_dec_next_dc_f16c32_fp16"));

}  // namespace
}  // namespace espalier::nn
