#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/app.h"
#include "client/command.h"
#include "common/files.h"
#include "image/codec.h"
#include "mesh/glb_writer.h"
#include "tests/client/command_line.h"

namespace espalier::client {
namespace {

std::string triangle() {
  mesh::Scene scene;
  mesh::Mesh m;
  m.positions = {{0, 0, 0}, {1, 0, 0}, {0, 0, 1}};
  m.triangles = {{0, 1, 2}};
  m.material_ids = {-1};
  scene.meshes = {m};
  return *mesh::write_glb(scene);
}

class Render : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return (folder_.path() / name).string(); }

  void SetUp() override {
    for (const char* name : {"base.glb", "adapted.glb"}) ASSERT_TRUE(write_file_atomic(path(name), triangle()).ok());
  }

  Status run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--size", "32", "--samples", "1"});
    arguments.insert(arguments.begin(), "render");
    Command command;
    cli::App app("espalier", "");
    add_render(app, command);
    ESP_TRY(app.parse(arguments));
    return command.run();
  }

  TempDir folder_ = TempDir::create().value();
};

TEST_F(Render, DrawsFilesSideBySide) {
  ASSERT_TRUE(run({path("base.glb"), path("adapted.glb"), "-o", path("both.png")}).ok());
  const auto both = image::decode(*read_file(path("both.png")));
  ASSERT_TRUE(both.ok());
  EXPECT_EQ(both->image.width, 64);
  ASSERT_TRUE(run({path("base.glb"), "--views", "3"}).ok());
  EXPECT_EQ(image::decode(*read_file(path("base.png")))->image.width, 96);
  ASSERT_TRUE(run({path("base.glb"), "-o", path("still.webp")}).ok());
  EXPECT_TRUE(image::decode(*read_file(path("still.webp"))).ok());
}

TEST_F(Render, TurnsFilesAround) {
  ASSERT_TRUE(run({path("base.glb"), path("adapted.glb"), "--turntable", "3", "-o", path("turn.webp")}).ok());
  const std::string bytes = *read_file(path("turn.webp"));
  EXPECT_NE(bytes.find("ANIM"), std::string::npos);
}

TEST_F(Render, TellsWhatTheImporterHadToDrop) {
  ASSERT_TRUE(write_file_atomic(path("a.obj"),
                                "mtllib a.mtl\nv 0 0 0\nv 1 0 0\nv 0 0 1\nvt 0 0\nusemtl m\n"
                                "f 1/1 2/1 3/1\n")
                  .ok());
  ASSERT_TRUE(write_file_atomic(path("a.mtl"), "newmtl m\nmap_Kd gone.png\n").ok());
  testing::internal::CaptureStderr();
  ASSERT_TRUE(run({path("a.obj"), "-o", path("a.png")}).ok());
  EXPECT_THAT(testing::internal::GetCapturedStderr(), testing::HasSubstr("gone.png"));

  Command command;
  command.json = true;
  const Output output =
      run_client(command, {add_render},
                 {"render", "--size", "32", "--samples", "1", path("a.obj"), path("base.glb"), "-o", path("b.png")});
  ASSERT_TRUE(output.status.ok()) << output.status;
  ASSERT_EQ(output.json()["warnings"].size(), 1u) << output.text;
  EXPECT_THAT(output.json()["warnings"][0], testing::HasSubstr("gone.png"));
}

TEST_F(Render, NamesWhatIsWrong) {
  const auto fails = [&](const std::vector<std::string>& arguments, const char* part) {
    const Status status = run(arguments);
    EXPECT_FALSE(status.ok());
    EXPECT_NE(status.message().find(part), absl::string_view::npos) << status;
  };
  fails({path("missing.glb")}, "missing.glb");
  fails({path("base.glb"), "-o", path("a.jpg")}, ".png or .webp");
  fails({path("base.glb"), "--turntable", "4", "-o", path("a.png")}, "turntable");
  fails({path("base.glb"), "--turntable", "4", "--views", "2"}, "--views");
  ASSERT_TRUE(write_file_atomic(path("broken.glb"), "glTF").ok());
  fails({path("broken.glb"), "-o", path("a.png")}, "broken.glb");
}

}  // namespace
}  // namespace espalier::client
