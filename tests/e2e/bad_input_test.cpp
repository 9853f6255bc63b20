#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "archive/zip_writer.h"
#include "tests/archive/raw_zip.h"
#include "tests/e2e/installation.h"

namespace espalier::e2e {
namespace {

using archive::testing::RawEntry;
using archive::testing::RawZip;
using testing::AnyOf;
using testing::HasSubstr;

class BadInput : public testing::Test {
 protected:
  void SetUp() override {
    if (const auto reason = missing_base(); !reason.empty()) GTEST_SKIP() << reason;
  }

  void TearDown() override {
    if (IsSkipped()) return;
    EXPECT_EQ(installation().espalier({"jobs"}).code, 0) << "the coordinator must still answer";
  }

  static std::string write(const std::string& name, const std::string& bytes) {
    const auto path = installation().folder() / name;
    EXPECT_TRUE(write_file_atomic(path, bytes).ok());
    return path.string();
  }

  static std::string zip(const std::string& name, const std::vector<RawEntry>& entries) {
    RawZip archive;
    archive.entries = entries;
    return write(name, archive.bytes());
  }

  // Fails with one message that holds all of `parts`.
  static void expect_refused(const std::vector<std::string>& arguments, const std::vector<std::string>& parts) {
    const auto output = installation().espalier(arguments);
    EXPECT_NE(output.code, 0) << output.text();
    EXPECT_LT(output.code, 128) << "the command crashed";
    for (const auto& part : parts) EXPECT_THAT(output.text(), HasSubstr(part));
  }
};

TEST_F(BadInput, ArchivesAreRefusedByNameOfTheEntry) {
  RawEntry outside, link, secret;
  outside.name = "../outside.glb";
  link.name = "link.glb";
  link.attributes = 0120777u << 16;
  secret.name = "secret.glb";
  secret.flags = 1;
  expect_refused({"submit", zip("outside.zip", {outside})}, {"outside.glb"});
  expect_refused({"submit", zip("link.zip", {link})}, {"link.glb"});
  expect_refused({"submit", zip("secret.zip", {secret})}, {"secret.glb", "encrypt"});
  expect_refused({"submit", zip("empty.zip", {})}, {"empty.zip", "no 3D asset"});
  expect_refused({"submit", write("not.zip", "this is no zip")}, {"not.zip"});
}

TEST_F(BadInput, ABombIsRefusedBeforeItIsInflated) {
  RawEntry bomb;
  bomb.name = "bomb.glb";
  bomb.content = std::string(64 << 20, '\0');
  bomb.deflate = true;
  expect_refused({"submit", zip("bomb.zip", {bomb})}, {"bomb.glb"});
}

TEST_F(BadInput, ABrokenAssetIsReportedAndAloneFailsTheJob) {
  RawEntry truncated;
  truncated.name = "truncated.glb";
  truncated.content = std::string("glTF\x02\0\0\0\xff\xff\0\0", 12);
  const auto output = installation().espalier({"submit", zip("truncated.zip", {truncated}), "--watch"});
  EXPECT_NE(output.code, 0);
  EXPECT_THAT(output.text(), HasSubstr("truncated.glb"));
  EXPECT_THAT(output.text(), HasSubstr("failed"));
}

TEST_F(BadInput, EverySettingIsCheckedAndAllFaultsAreToldAtOnce) {
  const auto source = assets().string();
  expect_refused({"submit", source, "--denoisers", "colour"}, {"denoisers", "colour"});
  expect_refused({"submit", source, "--denoisers", "sparse_structure,sparse_structure"}, {"denoisers[1]"});
  expect_refused({"submit", source, "--rank", "17", "--steps", "99", "--lr", "0"},
                 {"spec.rank", "16, 32", "spec.steps", "100", "spec.learning_rate", "1e-6"});
  expect_refused({"submit", source, "--resolution", "768"}, {"spec.resolution"});
  expect_refused({"submit", source, "--holdout-view", "16"}, {"spec.holdout_views"});
  expect_refused({"job", "job_unknown"}, {"job_unknown"});
}

TEST_F(BadInput, GenerationTellsWhatIsWrongWithItsFiles) {
  const auto text = write("text.png", "not an image");
  expect_refused({"generate", text}, {"image"});
  expect_refused({"generate", "/nonexistent.png"}, {"/nonexistent.png"});
  const auto adapter = write("broken.safetensors", "not an adapter");
  const auto picture = std::string(ESP_SOURCE_DIR) + "/tests/goldens/imgprep_rgba_soft/input.png";
  expect_refused({"generate", picture, "--adapter", adapter}, {"adapters[0]"});
  expect_refused({"generate", picture, "--steps", "0", "--guidance", "99"},
                 {"sparse_structure.steps", "sparse_structure.guidance_strength"});
}

}  // namespace
}  // namespace espalier::e2e
