#include "infer/program/program.h"

#include <gmock/gmock.h>

#include "common/events.h"
#include "common/exit_codes.h"
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

TEST_F(ProgramTest, WritesAShapeInEachFormatAskedFor) {
  ASSERT_TRUE(write_tiny_shape_base(path("shape")));
  ASSERT_TRUE(write_tiny_adapter(path("low.safetensors"), 1, {"geometry", "", 512}));
  ASSERT_EQ(run({"--base", path("shape"), "--image", path("in.png"), "-o", path("out.obj"), "-o", path("out.vxz"),
                 "--output", path("out.npz"), "--pipeline", "1024_cascade", "--low-resolution-adapter",
                 path("low.safetensors") + ":0.5", "--memory", "low", "--decimation-target", "2000"}),
            kExitOk)
      << errors_;
  EXPECT_EQ(read_file(path("out.obj"))->substr(0, 10), "# Espalier");
  EXPECT_EQ(read_file(path("out.vxz"))->substr(0, 3), "VXZ");
  EXPECT_TRUE(dataset::read_npz(*read_file(path("out.npz")))->contains("split_weights"));
  EXPECT_THAT(printed_, HasSubstr("the dual grid"));
}

TEST_F(ProgramTest, DrawsWhatItMakes) {
  const std::vector<std::string> common = {"--base", path("base"), "--image", path("in.png"),
                                           "--seed", "7",          "-o",      path("out.glb")};
  const auto run_with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), common.begin(), common.end());
    return run(more);
  };
  ASSERT_EQ(run_with({"--preview", path("out.png"), "--preview-size", "64", "--samples", "2"}), kExitOk) << errors_;
  EXPECT_EQ(read_file(path("out_0.png"))->substr(1, 3), "PNG");
  EXPECT_EQ(read_file(path("out_1.png"))->substr(1, 3), "PNG");
  EXPECT_THAT(printed_, HasSubstr("preview "));
  EXPECT_EQ(run_with({"--preview", path("out.png"), "--preview-size", "63", "--preview-views", "9"}), kExitInvalid);
  EXPECT_THAT(errors_, HasSubstr("--preview-size: 63"));
  EXPECT_THAT(errors_, HasSubstr("--preview-views: 9"));
  EXPECT_EQ(run_with({"--preview", path("out.jpg")}), kExitInvalid);
  EXPECT_EQ(run_with({"--preview-size", "64"}), kExitInvalid);
}

TEST_F(ProgramTest, NamesTheShapeOptionsThatAreWrong) {
  ASSERT_TRUE(write_tiny_shape_base(path("shape")));
  ASSERT_TRUE(write_tiny_adapter(path("low.safetensors"), 1, {"geometry", "", 512}));
  EXPECT_EQ(run({"--base", path("shape"), "--image", path("in.png"), "-o", path("a.obj"), "-o", path("b.obj"),
                 "--pipeline", "512", "--low-resolution-adapter", path("low.safetensors"), "--shape-steps", "0",
                 "--decimation-target", "3", "--max-num-tokens", "3"}),
            kExitInvalid);
  for (const std::string& part :
       {"--output " + path("b.obj"), "--low-resolution-adapter " + path("low.safetensors"),
        std::string("--shape-steps: 0"), std::string("--decimation-target: 3"), std::string("--max-num-tokens: 3")}) {
    EXPECT_THAT(errors_, HasSubstr(part));
  }
}

TEST_F(ProgramTest, TexturesAShapeAndAGivenMesh) {
  ASSERT_TRUE(write_tiny_texture_base(path("texture")));
  ASSERT_EQ(run({"--base", path("texture"), "--image", path("in.png"), "-o", path("out.glb"), "--texture-size", "64",
                 "--texture-format", "jpeg", "--texture-steps", "2", "--stop-after", "texture", "--preset", "lowpoly"}),
            kExitOk)
      << errors_;
  EXPECT_NE(read_file(path("out.glb"))->find("image/jpeg"), std::string::npos);
  EXPECT_THAT(printed_, HasSubstr("textured"));

  ASSERT_TRUE(
      write_file_atomic(path("m.obj"), "v 1 1 1\nv 2 1 1\nv 1 2 1\nv 1 1 2\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n")
          .ok());
  ASSERT_EQ(run({"retexture", "--base", path("texture"), "--mesh", path("m.obj"), "--image", path("in.png"), "-o",
                 path("new.glb"), "--texture-size", "64", "--seed", "3", "--preview", path("new.png"), "--preview-size",
                 "64"}),
            kExitOk)
      << errors_;
  EXPECT_NE(read_file(path("new.glb"))->find("baseColorTexture"), std::string::npos);
  EXPECT_EQ(read_file(path("new.png"))->substr(1, 3), "PNG");
  EXPECT_THAT(printed_, HasSubstr("seed 3"));

  EXPECT_EQ(run({"retexture", "--base", path("texture"), "--mesh", path("m.obj"), "--image", path("in.png"), "-o",
                 path("bad.glb"), "--texture-size", "65", "--keep-uvs", "--texture-steps", "0"}),
            kExitInvalid);
  for (const char* part : {"--texture-size: 65", "--keep-uvs: ", "--texture-steps: 0"}) {
    EXPECT_THAT(errors_, HasSubstr(part));
  }
  EXPECT_EQ(run({"retexture", "--base", path("texture"), "--mesh", path("in.png"), "--image", path("in.png"), "-o",
                 path("bad.glb")}),
            kExitInvalid);
  EXPECT_THAT(errors_, HasSubstr("--mesh"));
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
      {"--image", path("in.png"), "-o", path("out.fbx")},
      {"--image", path("in.png"), "-o", path("out.glb"), "--memory", "much"},
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
