#pragma once

#include <gmock/gmock.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "common/files.h"
#include "dataset/npz.h"
#include "infer/engine.h"
#include "tests/infer_support/tiny_base.h"

namespace espalier::infer {

// An engine on a random base with texture, shared by the tests of a suite.
class TextureFixture : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TempDir(*TempDir::create());
    ASSERT_TRUE(write_tiny_texture_base(base()));
    engine_ = open(base()).release();
  }
  static void TearDownTestSuite() {
    delete engine_;
    delete folder_;
  }

  static std::unique_ptr<Engine> open(const std::filesystem::path& base, const std::string& memory = "auto") {
    EngineOptions options;
    options.base = base;
    options.memory = memory;
    auto engine = Engine::open(options);
    EXPECT_TRUE(engine.ok()) << engine.status();
    return *std::move(engine);
  }

  static std::filesystem::path base() { return folder_->path() / "base"; }
  static std::filesystem::path file(const std::string& name) { return folder_->path() / name; }

  static GenerateRequest request(const std::string& pipeline, std::vector<FileFormat> formats = {FileFormat::kNpz}) {
    GenerateRequest request;
    request.image = picture();
    request.seed = 7;
    request.pipeline = pipeline;
    request.formats = std::move(formats);
    request.remesh = false;  // most tests are about what was decoded
    return request;
  }

  // A small textured .glb.
  static GenerateRequest glb_request() {
    GenerateRequest asked = request("512", {FileFormat::kGlb});
    asked.texture_size = 64;
    asked.decimation_target = 1000;
    return asked;
  }

  // The arrays of the first sample's decoded grid.
  static std::map<std::string, dataset::Array> grid(const GenerateRequest& request, Engine& engine = *engine_) {
    const auto assets = engine.generate(request);
    EXPECT_TRUE(assets.ok()) << assets.status();
    if (!assets.ok()) return {};
    auto arrays = dataset::read_npz(assets->samples[0].file(FileFormat::kNpz));
    EXPECT_TRUE(arrays.ok()) << arrays.status();
    return arrays.ok() ? *arrays : std::map<std::string, dataset::Array>();
  }

  inline static TempDir* folder_ = nullptr;
  inline static Engine* engine_ = nullptr;
};

}  // namespace espalier::infer
