#include "preprocess/blender.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <functional>

#include "common/installation.h"
#include "mesh/normalize.h"
#include "preprocess/import_asset.h"
#include "preprocess/sandbox.h"
#include "preprocess/scene_file.h"
#include "tests/preprocess/boxes.h"
#include "tests/preprocess/preparation.h"

namespace espalier::preprocess {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// An environment variable of this process, given back at the end of the scope.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    ::setenv(name, value.c_str(), 1);
  }
  ~Variable() { before_.empty() ? ::unsetenv(name_) : ::setenv(name_, before_.c_str(), 1); }

 private:
  const char* name_;
  std::string before_;
};

bool can_confine() {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(confine_converter("/", "/bin/sh").ok() ? 0 : 1);
  int status = 0;
  ::waitpid(pid, &status, 0);
  return status == 0;
}

// A .blend file and, in Blender's place, a shell script. It cannot start processes, so `exec` is its only way to run
// another program.
class FakeBlender : public testing::PreparationTest {
 protected:
  void SetUp() override {
    testing::PreparationTest::SetUp();
    if (!can_confine()) GTEST_SKIP() << "this kernel cannot confine Blender";
    ASSERT_TRUE(write_file_atomic(path("a.blend"), "BLENDER-v405RENDH").ok());
  }
  fs::path script(const std::string& body) {
    const fs::path program = path("blender");
    std::ofstream(program) << "#!/bin/sh\n" << body << "\n";
    ::chmod(program.c_str(), 0700);
    return program;
  }
  Result<mesh::Scene> read(const fs::path& blender, int wall_seconds = kBlenderLimits.wall_seconds) {
    Importer importer{.blender = blender};
    importer.blender_limits.wall_seconds = wall_seconds;
    return import_asset(folder_->path(), "a.blend", importer, folder_->path(), {});
  }
  std::string answer_of(const std::string& body, int wall_seconds = kBlenderLimits.wall_seconds) {
    return std::string(read(script(body), wall_seconds).status().message());
  }
};

TEST_F(FakeBlender, HandsItsSceneOver) {
  ASSERT_TRUE(write_file_atomic(path("scene"), write_scene(testing::box(1, 2, 3))).ok());
  const auto scene = read(script("exec cat " + path("scene").string() + " >&3"));
  ASSERT_TRUE(scene.ok()) << scene.status();
  EXPECT_EQ(mesh::face_count(*scene), 12u);
}

TEST_F(FakeBlender, RunsOurScriptWithTheFilesOwnScriptsOff) {
  const std::string body =
      "[ \"$1 $2 $3\" = '--background --factory-startup --disable-autoexec' ] || exit 11\n"
      "[ \"$5\" = --python-expr ] || exit 12\n"
      "case \"$6\" in *use_scripts=False*) ;; *) exit 13;; esac\n"
      "[ \"$8\" = " +
      path("a.blend").string() + " ] || exit 14\nexit 7";
  EXPECT_THAT(answer_of(body), HasSubstr("Blender failed with code 7"));
}

TEST_F(FakeBlender, IsTheAssetsFaultWhateverItDoes) {
  const std::vector<std::pair<const char*, const char*>> rows = {
      {"kill -SEGV $$", "UNREADABLE: the importer crashed"},
      {"exit 9", "UNREADABLE: Blender failed with code 9"},
      {"exit 0", "UNREADABLE: the import result is missing"},
      {"exec head -c 1000 /dev/zero >&3", "UNREADABLE: the import result is missing or malformed"},
      {"exec /nonexistent/program", "UNSUPPORTED_FEATURE: Blender cannot be run"},
  };
  for (const auto& [body, message] : rows) EXPECT_THAT(answer_of(body), StartsWith(message)) << body;
  for (const char* body : {"while :; do :; done", "exec sleep 1000"})
    EXPECT_THAT(answer_of(body, 1), StartsWith("TIMEOUT")) << body;
}

TEST_F(FakeBlender, SeesNeitherOurSecretsNorOurFiles) {
  const auto elsewhere = TempDir::create("elsewhere");
  ASSERT_TRUE(write_file_atomic(elsewhere->path() / "secret", "secret\n").ok());
  const Variable secret("ESPALIER_TEST_SECRET", "secret");
  const std::string body =
      "[ -n \"$ESPALIER_TEST_SECRET\" ] && exit 11\n"
      "read x < " +
      (elsewhere->path() / "secret").string() +
      " && exit 12\n"
      "read x < /proc/" +
      std::to_string(::getpid()) +
      "/environ && exit 13\n"
      "read x < " +
      path("a.blend").string() +
      " || [ -n \"$x\" ] || exit 14\n"
      "kill -0 $PPID && exit 15\n"
      "exit 7";
  EXPECT_THAT(answer_of(body), HasSubstr("code 7"));
}

TEST_F(FakeBlender, IsAskedOnlyForWhatBeginsLikeABlendFile) {
  ASSERT_TRUE(write_file_atomic(path("a.blend"), "glTF").ok());
  EXPECT_THAT(answer_of("exit 7"), HasSubstr("the content is no .blend file"));
  for (const char* compressed : {"\x1f\x8b\x08....", "\x28\xb5\x2f\xfd..."}) {
    ASSERT_TRUE(write_file_atomic(path("a.blend"), compressed).ok());
    EXPECT_THAT(answer_of("exit 7"), HasSubstr("code 7"));
  }
}

TEST_F(FakeBlender, HangingOrCrashingCostsOnlyItsAsset) {
  ASSERT_TRUE(write_file_atomic(path("scene"), write_scene(testing::box(1, 2, 3))).ok());
  // The folder of the script is that of the program, which is readable.
  config_.importer.blender = script(
      "case \"$8\" in\n*/crash.blend) kill -SEGV $$;;\n*/hang.blend) exec sleep 1000;;\nesac\n"
      "exec cat " +
      path("scene").string() + " >&3");
  config_.work_dir = path("work");  // so that the good one need not be as fast as the limit below
  zip({{"crash.blend", "BLENDER1"}, {"good.blend", "BLENDER2"}});
  const auto crashed = run();
  ASSERT_TRUE(crashed.ok()) << crashed.status();
  EXPECT_EQ(crashed->objects, 1);
  EXPECT_EQ(event_of("crash.blend").code, "UNREADABLE");
  config_.importer.blender_limits.wall_seconds = 1;
  zip({{"good.blend", "BLENDER2"}, {"hang.blend", "BLENDER3"}});
  const auto hung = run();
  ASSERT_TRUE(hung.ok()) << hung.status();
  EXPECT_EQ(hung->objects, 1);
  EXPECT_EQ(event_of("hang.blend").code, "TIMEOUT");
}

class WithoutBlender : public testing::PreparationTest {};

TEST_F(WithoutBlender, OnlyBlendFilesFailAndSayWhy) {
  config_.importer.blender = "none";
  zip({{"a.blend", "BLENDER-v405"}, {"b.glb", testing::box_glb(1, 1, 0.2f)}});
  const auto result = run();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->objects, 1);
  EXPECT_EQ(event_of("a.blend").code, "UNSUPPORTED_FEATURE");
  EXPECT_THAT(event_of("a.blend").message, HasSubstr("switched off"));
}

TEST_F(WithoutBlender, AWrongOptionIsAFaultOfTheRun) {
  config_.importer.blender = "/nonexistent/blender";
  zip({{"b.glb", testing::box_glb(1, 1, 0.2f)}});
  EXPECT_THAT(std::string(run().status().message()), HasSubstr("blender: /nonexistent/blender is not an executable"));
}

TEST(FindBlender, TakesWhatIsNamedFirst) {
  const auto folder = TempDir::create("find_blender");
  const Variable path("PATH", folder->path().string());
  const Variable named("ESPALIER_BLENDER", "/bin/sh");
  EXPECT_EQ(find_blender("/bin/true").value(), "/bin/true");
  EXPECT_EQ(find_blender({}).value(), "/bin/sh");
  const Variable wrong("ESPALIER_BLENDER", folder->path().string());
  EXPECT_THAT(std::string(find_blender({}).status().message()), HasSubstr("is not an executable file"));
}

TEST(FindBlender, OffersARemedy) {
  const auto folder = TempDir::create("find_blender");
  const Variable path("PATH", folder->path().string());
  const Variable named("ESPALIER_BLENDER", "");
  const auto found = find_blender({});
  if (found.ok()) GTEST_SKIP() << "there is one: " << *found;
  EXPECT_THAT(std::string(found.status().message()), HasSubstr("run scripts/install-blender"));
  std::ofstream(folder->path() / "blender") << "#!/bin/sh\n";
  ::chmod((folder->path() / "blender").c_str(), 0700);
  EXPECT_EQ(find_blender({}).value(), folder->path() / "blender");
}

// What a call returns in a process that confine_converter() let go on; the exit code is errno, or 0.
int refusal(const fs::path& root, const std::function<long()>& call) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    if (!confine_converter(root, "/bin/sh").ok()) ::_exit(255);
    ::_exit(call() < 0 ? errno : 0);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST(ConverterConfinement, RefusesNetworkProcessesAndWriting) {
  if (!can_confine()) GTEST_SKIP() << "this kernel cannot confine Blender";
  const auto folder = TempDir::create("converter");
  const std::string inside = folder->path() / "inside", fresh = folder->path() / "fresh";
  ASSERT_TRUE(write_file_atomic(inside, "x").ok());
  const pid_t parent = ::getpid();
  const std::vector<std::pair<int, std::function<long()>>> rows = {
      {EPERM, [] { return ::socket(AF_INET, SOCK_STREAM, 0); }},
      {EPERM, [] { return ::socket(AF_INET6, SOCK_DGRAM, 0); }},
      {EPERM, [] { return ::socket(AF_UNIX, SOCK_STREAM, 0); }},
      {EPERM, [] { return ::fork(); }},
      {EPERM, [] { return ::setsid(); }},
      {EPERM, [parent] { return ::kill(parent, 0); }},
      {EPERM, [] { return ::kill(-1, 0); }},
      {EPERM, [parent] { return ::ptrace(PTRACE_ATTACH, parent, nullptr, nullptr); }},
      {EPERM, [&] { return ::chmod(inside.c_str(), 0); }},
      {EPERM, [&] { return ::truncate(inside.c_str(), 0); }},
      {EACCES, [&] { return ::open(inside.c_str(), O_WRONLY); }},
      {EACCES, [&] { return ::open(inside.c_str(), O_RDONLY | O_TRUNC); }},
      {EACCES, [&] { return ::open(fresh.c_str(), O_RDWR | O_CREAT, 0600); }},
      {EACCES, [&] { return ::unlink(inside.c_str()); }},
      {EACCES, [&] { return ::mkdir(fresh.c_str(), 0700); }},
      {EACCES, [] { return ::open("/etc/passwd", O_RDONLY); }},
      {0, [&] { return ::open(inside.c_str(), O_RDONLY); }},
      {0, [] { return ::open("/bin/sh", O_RDONLY); }},
      {0, [] { return ::kill(::getpid(), 0); }},
  };
  for (size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(refusal(folder->path(), rows[i].second), rows[i].first) << i;
}

// With a Blender, if there is one.
class RealBlender : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto found = find_blender({});
    if (!found.ok()) GTEST_SKIP() << found.status().message();
    if (!can_confine()) GTEST_SKIP() << "this kernel cannot confine Blender";
    blender_ = *found;
  }
  // Runs a script that saves `file` in the folder; unconfined.
  void make(const std::string& file, const std::string& python) {
    const fs::path script = folder_->path() / "make.py";
    std::ofstream(script) << "import os, bpy\n"
                          << "bpy.ops.wm.read_factory_settings(use_empty=True)\n"
                          << python << "bpy.ops.wm.save_as_mainfile(filepath='" << (folder_->path() / file).string()
                          << "')\n"
                          << "os._exit(0)\n";  // bpy may hang while it ends
    const bool python_program = blender_.filename().string().starts_with("python");
    const std::string command = "'" + blender_.string() + "' " + (python_program ? "" : "-b --factory-startup -P ") +
                                script.string() + " >/dev/null 2>&1";
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
  }
  Result<mesh::Scene> read(const std::string& file) {
    return import_asset(folder_->path(), file, {.blender = blender_}, folder_->path(), {});
  }
  Result<TempDir> folder_ = TempDir::create("blender_test");
  fs::path blender_;
};

TEST_F(RealBlender, ReadsWhatIsVisibleWithModifiersInWorldSpace) {
  make("a.blend",
       "bpy.ops.mesh.primitive_cube_add(size=2, location=(5, 0, 0))\n"
       "bpy.context.object.modifiers.new('m', 'SUBSURF').levels = 1\n"
       "bpy.ops.mesh.primitive_plane_add()\n"
       "bpy.context.object.hide_render = True\n");
  const auto scene = read("a.blend");
  ASSERT_TRUE(scene.ok()) << scene.status();
  EXPECT_EQ(mesh::face_count(*scene), 6u * 4 * 2);
  EXPECT_GT(mesh::bounds(*scene)->min[0], 4);
}

TEST_F(RealBlender, ReadsTheSameBitsEachTime) {
  if (const pid_t pid = ::fork(); pid == 0) ::_exit(::personality(ADDR_NO_RANDOMIZE) < 0 ? 1 : 0);
  int refused = 0;
  ::wait(&refused);
  if (refused != 0) GTEST_SKIP() << "addresses cannot be kept from being random here";
  make("a.blend",
       "bpy.ops.mesh.primitive_cube_add(size=2)\n"
       "bpy.context.object.modifiers.new('m', 'BEVEL').segments = 3\n");
  const auto first = read("a.blend"), second = read("a.blend");
  ASSERT_TRUE(first.ok() && second.ok()) << first.status() << second.status();
  EXPECT_TRUE(write_scene(*first) == write_scene(*second));
}

TEST_F(RealBlender, RunsNeitherScriptsNorDriversOfTheFile) {
  make("a.blend",
       "bpy.ops.mesh.primitive_cube_add(size=2)\n"
       "cube = bpy.context.object\n"
       "text = bpy.data.texts.new('register.py')\n"
       "text.write('import bpy; bpy.ops.mesh.primitive_uv_sphere_add()')\n"
       "text.use_module = True\n"
       "driver = cube.driver_add('location', 0).driver\n"
       "driver.expression = '__import__(\"math\").floor(frame * 0 + 100.5)'\n"
       "cube.location[0] = 0\n");
  const auto scene = read("a.blend");
  ASSERT_TRUE(scene.ok()) << scene.status();
  EXPECT_EQ(mesh::face_count(*scene), 12u);
  EXPECT_LT(mesh::bounds(*scene)->max[0], 50);
}

TEST_F(RealBlender, KeepsMaterialsThatTheReferenceRefuses) {
  make("a.blend",
       "bpy.ops.mesh.primitive_cube_add(size=2)\n"
       "material = bpy.data.materials.new('blue')\n"
       "material.use_nodes = True\n"
       "nodes = material.node_tree.nodes\n"
       "nodes.clear()\n"
       "diffuse = nodes.new('ShaderNodeBsdfDiffuse')\n"
       "diffuse.inputs['Color'].default_value = (0, 0.25, 0.5, 1)\n"
       "output = nodes.new('ShaderNodeOutputMaterial')\n"
       "material.node_tree.links.new(diffuse.outputs[0], output.inputs['Surface'])\n"
       "bpy.context.object.data.materials.append(material)\n");
  const auto scene = read("a.blend");
  ASSERT_TRUE(scene.ok()) << scene.status();
  ASSERT_EQ(scene->materials.size(), 1u);
  EXPECT_EQ(scene->materials[0].base_color, (mesh::Vec3{0, 0.25f, 0.5f}));
  EXPECT_EQ(scene->materials[0].roughness, 1);
  EXPECT_THAT(scene->warnings, ::testing::ElementsAre(HasSubstr("material \"blue\"")));
}

TEST_F(RealBlender, NamesWhyAFileHasNothingToRead) {
  make("a.blend", "");
  EXPECT_THAT(std::string(read("a.blend").status().message()), StartsWith("EMPTY_MESH: a.blend: "));
  ASSERT_TRUE(write_file_atomic(folder_->path() / "b.blend", "BLENDER-v405, and then nothing of a file").ok());
  const std::string unreadable(read("b.blend").status().message());
  EXPECT_THAT(unreadable, StartsWith("UNREADABLE: b.blend: "));
  EXPECT_THAT(unreadable, ::testing::Not(HasSubstr(folder_->path().string())));
}

}  // namespace
}  // namespace espalier::preprocess
