#include <torch/types.h>

#include "common/files.h"
#include "nn/io/safetensors.h"
#include "tests/infer/texture_fixture.h"

namespace espalier::infer {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;

class StateTest : public TextureFixture {
 protected:
  // Keeps the latents of a request in a folder of this name.
  static GeneratedAssets keep(const std::string& name, GenerateRequest asked) {
    std::filesystem::create_directory(file(name));
    asked.state_folder = file(name);
    auto assets = engine_->generate(asked);
    EXPECT_TRUE(assets.ok()) << assets.status();
    return *std::move(assets);
  }

  static OutputOptions outputs(const GenerateRequest& asked) { return asked; }
};

TEST_F(StateTest, GivesTheFilesOfTheGeneration) {
  GenerateRequest asked = glb_request();
  asked.samples = 2;
  asked.formats = {FileFormat::kGlb, FileFormat::kNpz};
  const GeneratedAssets made = keep("same", asked);
  for (const GeneratedSample& sample : made.samples) {
    const auto again = engine_->extract(sample.state, outputs(asked));
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(again->samples[0].file(FileFormat::kGlb), sample.file(FileFormat::kGlb));
    EXPECT_EQ(again->samples[0].file(FileFormat::kNpz), sample.file(FileFormat::kNpz));
    EXPECT_EQ(again->resolution, made.resolution);
    EXPECT_TRUE(again->textured);
  }
}

TEST_F(StateTest, GivesOtherFilesAnyNumberOfTimes) {
  const GeneratedAssets made = keep("other", request("1024_cascade", {FileFormat::kStl}));
  EXPECT_TRUE(made.textured) << "a state keeps the texture that the file has no place for";
  OutputOptions options;
  options.texture_size = 64;
  options.decimation_target = 1000;
  options.formats = {FileFormat::kGlb, FileFormat::kObj};
  const auto first = engine_->extract(made.samples[0].state, options);
  options.geometry_only = true;
  options.texture_size.reset();
  const auto bare = engine_->extract(made.samples[0].state, options);
  ASSERT_TRUE(first.ok() && bare.ok()) << first.status() << bare.status();
  EXPECT_NE(first->samples[0].file(FileFormat::kGlb).find("baseColorTexture"), std::string::npos);
  EXPECT_EQ(bare->samples[0].file(FileFormat::kGlb).find("baseColorTexture"), std::string::npos);
  EXPECT_EQ(first->samples[0].file(FileFormat::kObj), bare->samples[0].file(FileFormat::kObj));
}

TEST_F(StateTest, NamesTheOptionsThatAreWrong) {
  GenerateRequest bare = request("512");
  bare.last_stage = LastStage::kShape;
  const GeneratedAssets made = keep("bare", bare);
  OutputOptions options;
  options.formats = {FileFormat::kGlb, FileFormat::kOccupancy};
  options.texture_size = 64;
  options.decimation_target = 1;
  std::vector<Fault> faults;
  const auto refused = engine_->extract(made.samples[0].state, options, {}, &faults);
  EXPECT_TRUE(absl::IsInvalidArgument(refused.status())) << refused.status();
  EXPECT_THAT(faults, ElementsAre(Field(&Fault::field, "mesh.decimation_target"),
                                  Field(&Fault::field, "mesh.texture_size"), Field(&Fault::field, "formats[1]")));
}

TEST_F(StateTest, NeedsAShape) {
  GenerateRequest structure = request("", {FileFormat::kOccupancy});
  structure.last_stage = LastStage::kStructure;
  structure.state_folder = folder_->path();
  std::vector<Fault> faults;
  EXPECT_FALSE(engine_->generate(structure, {}, &faults).ok());
  EXPECT_THAT(faults, ElementsAre(Field(&Fault::field, "keep_state")));
}

TEST_F(StateTest, BelievesNothingOfTheFile) {
  const GeneratedAssets made = keep("broken", request("512"));
  const auto opened = nn::SafetensorsFile::open(made.samples[0].state);
  ASSERT_TRUE(opened.ok());
  const nn::TensorMap good = *opened->tensors();
  const std::map<std::string, std::string> header = opened->metadata();
  using Change = std::function<void(nn::TensorMap&, std::map<std::string, std::string>&)>;
  const auto nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<std::pair<const char*, Change>> rows = {
      {"version", [](auto&, auto& h) { h.erase("espalier.state"); }},
      {"size", [](auto&, auto& h) { h["espalier.voxels"] = "100000"; }},
      {"size", [](auto&, auto& h) { h["espalier.voxels"] = "65"; }},
      {"missing", [](auto&, auto& h) { h.erase("espalier.shape_decoder_sha256"); }},
      {"shape", [](auto& t, auto&) { t.erase("shape"); }},
      {"type or shape", [](auto& t, auto&) { t["shape"] = t["shape"].narrow(1, 0, 4).contiguous(); }},
      {"type or shape", [](auto& t, auto&) { t["coords"] = t["coords"].to(at::kLong); }},
      {"not finite", [&](auto& t, auto&) { t["texture"] = torch::full_like(t["texture"], nan); }},
      {"rows", [](auto& t, auto&) { t["texture"] = t["texture"].narrow(0, 0, 1).contiguous(); }},
      {"coords", [](auto& t, auto&) { t["coords"] = torch::full_like(t["coords"], -1); }},
      {"coords", [](auto& t, auto&) { t["coords"] = torch::full_like(t["coords"], 4); }},
      {"twice", [](auto& t, auto&) { t["coords"] = torch::zeros_like(t["coords"]); }},
      {"coords",
       [](auto& t, auto&) {
         for (auto& [name, tensor] : t) tensor = tensor.narrow(0, 0, 0).contiguous();
       }},
  };
  for (const auto& [message, change] : rows) {
    nn::TensorMap tensors = good;
    auto changed = header;
    change(tensors, changed);
    ASSERT_TRUE(nn::write_safetensors(file("bad.safetensors"), tensors, changed).ok()) << message;
    const Status status = engine_->extract(file("bad.safetensors"), {}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(message));
  }
  ASSERT_TRUE(write_file_atomic(file("bad.safetensors"), "nonsense").ok());
  EXPECT_EQ(engine_->extract(file("bad.safetensors"), {}).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(absl::IsNotFound(engine_->extract(file("absent.safetensors"), {}).status()));
}

TEST_F(StateTest, IsRefusedByAnotherBase) {
  const GeneratedAssets made = keep("foreign", request("512"));
  const auto opened = nn::SafetensorsFile::open(made.samples[0].state);
  ASSERT_TRUE(opened.ok());
  auto header = opened->metadata();
  header["espalier.texture_decoder_sha256"] = std::string(64, 'a');
  ASSERT_TRUE(nn::write_safetensors(file("foreign.safetensors"), *opened->tensors(), header).ok());
  const Status refused = engine_->extract(file("foreign.safetensors"), {}).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
}

TEST_F(StateTest, KeepsToTheServicesTokenLimit) {
  const GeneratedAssets made = keep("large", request("512"));
  const auto limited = Engine::open({.base = base(), .max_shape_tokens = 2});
  ASSERT_TRUE(limited.ok());
  EXPECT_TRUE(absl::IsResourceExhausted((*limited)->extract(made.samples[0].state, {}).status()));
}

}  // namespace
}  // namespace espalier::infer
