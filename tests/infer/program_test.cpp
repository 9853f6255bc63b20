#include "infer/program/program.h"

#include <gmock/gmock.h>

#include "common/events.h"
#include "common/files.h"
#include "dataset/npz.h"
#include "infer/program/one_shot.h"
#include "tests/infer_support/tiny_base.h"

namespace espalier::infer {
namespace {

using ::testing::HasSubstr;

class ProgramTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(write_tiny_base(path("base")));
    ASSERT_TRUE(write_tiny_adapter(path("a.safetensors"), 1));
    ASSERT_TRUE(write_file_atomic(path("in.png"), picture()).ok());
  }

  std::string path(const std::string& name) const { return (folder_.path() / name).string(); }

  // Runs the program; what it prints is swallowed, errors are kept in `errors_`.
  int run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "espalier-infer");
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    const int code = run_program(static_cast<int>(argv.size()), argv.data());
    printed_ = ::testing::internal::GetCapturedStdout();
    errors_ = ::testing::internal::GetCapturedStderr();
    return code;
  }

  TempDir folder_ = *TempDir::create();
  std::string printed_, errors_;
};

TEST_F(ProgramTest, WritesTheObjectAndItsVoxels) {
  ASSERT_EQ(run({"--base", path("base"), "--image", path("in.png"), "-o", path("out.glb"), "--seed", "7", "--occupancy",
                 path("out.npz"), "--adapter", path("a.safetensors") + ":0.5"}),
            kExitOk)
      << errors_;
  EXPECT_EQ(read_file(path("out.glb"))->substr(0, 4), "glTF");
  EXPECT_THAT(printed_, HasSubstr("seed 7"));
  const auto arrays = dataset::read_npz(*read_file(path("out.npz")));
  ASSERT_TRUE(arrays.ok()) << arrays.status();
  EXPECT_EQ(arrays->at("coords").dtype, "<i4");
  EXPECT_EQ(arrays->at("coords").shape.at(1), 3);
}

TEST_F(ProgramTest, TheShippedSettingsAreTheDefaults) {
  ASSERT_EQ(run({"serve", "--print-config"}), kExitOk) << errors_;
  const std::string defaults = printed_;
  ASSERT_EQ(run({"serve", "--config", ESP_SOURCE_DIR "/configs/infer.yaml", "--print-config"}), kExitOk) << errors_;
  EXPECT_EQ(printed_, defaults);
}

TEST_F(ProgramTest, FlagsOfTheServiceOverrideItsFile) {
  ASSERT_TRUE(write_file_atomic(path("infer.yaml"), "listen: \"127.0.0.1:1\"\nmax_waiting: 3\n").ok());
  ASSERT_EQ(run({"serve", "--config", path("infer.yaml"), "--max-waiting", "4", "--bf16", "--print-config"}), kExitOk);
  EXPECT_THAT(printed_, HasSubstr("listen: \"127.0.0.1:1\""));
  EXPECT_THAT(printed_, HasSubstr("max_waiting: 4"));
  EXPECT_THAT(printed_, HasSubstr("bfloat16: true"));
  ASSERT_TRUE(write_file_atomic(path("infer.yaml"), "listne: x\n").ok());
  EXPECT_EQ(run({"serve", "--config", path("infer.yaml"), "--print-config"}), kExitInvalid);
  EXPECT_THAT(errors_, HasSubstr("listne"));
}

TEST_F(ProgramTest, NumbersTheFilesOfSeveralSamples) {
  ASSERT_EQ(run({"--base", path("base"), "--image", path("in.png"), "-o", path("out.glb"), "--samples", "2"}), kExitOk);
  EXPECT_TRUE(std::filesystem::exists(path("out_0.glb")));
  EXPECT_TRUE(std::filesystem::exists(path("out_1.glb")));
  EXPECT_FALSE(std::filesystem::exists(path("out.glb")));
}

TEST_F(ProgramTest, NamesTheOptionsThatAreWrong) {
  ASSERT_TRUE(write_file_atomic(path("text.png"), "not a picture").ok());
  EXPECT_EQ(run({"--base", path("base"), "--image", path("text.png"), "-o", path("out.glb"), "--steps", "0",
                 "--adapter", path("text.png")}),
            kExitInvalid);
  for (const char* part : {"--steps: 0 is not in 1..50", "--adapter ", "--image ", "text.png: not an image"}) {
    EXPECT_THAT(errors_, HasSubstr(part));
  }
  EXPECT_FALSE(std::filesystem::exists(path("out.glb")));
}

TEST_F(ProgramTest, RefusesBadCommandLinesWithTheInvalidExitCode) {
  const std::vector<std::vector<std::string>> rows = {
      {},
      {"--image", path("in.png")},
      {"-o", path("out.glb")},
      {"--image", path("in.png"), "-o", path("out.glb"), "--background", "magic"},
      {"--image", path("in.png"), "-o", path("out.glb"), "--unknown"},
      {"--base", path("base"), "--image", path("missing.png"), "-o", path("out.glb")},
      {"--base", path("missing"), "--image", path("in.png"), "-o", path("out.glb")},
      {"serve", "--base", path("base"), "--listen", "nonsense"},
      {"serve", "--base", path("missing")}};
  for (const auto& row : rows) {
    EXPECT_EQ(run(row), kExitInvalid) << ::testing::PrintToString(row);
    EXPECT_FALSE(errors_.empty());
  }
  EXPECT_EQ(run({"--help"}), kExitOk);
}

}  // namespace
}  // namespace espalier::infer
