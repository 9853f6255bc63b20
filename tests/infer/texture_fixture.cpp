#include "tests/infer/texture_fixture.h"

namespace espalier::infer {

GenerateRequest TextureFixture::glb_request() {
  GenerateRequest asked = request("512", {FileFormat::kGlb});
  asked.texture_size = 64;
  asked.decimation_target = 1000;
  return asked;
}

std::map<std::string, dataset::Array> TextureFixture::grid(const GenerateRequest& request, Engine& engine) {
  const auto assets = engine.generate(request);
  EXPECT_TRUE(assets.ok()) << assets.status();
  if (!assets.ok()) return {};
  auto arrays = dataset::read_npz(assets->samples[0].file(FileFormat::kNpz));
  EXPECT_TRUE(arrays.ok()) << arrays.status();
  return arrays.ok() ? *arrays : std::map<std::string, dataset::Array>();
}

}  // namespace espalier::infer
