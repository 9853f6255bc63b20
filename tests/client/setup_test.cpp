#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <string>

#include "client/setup/place.h"
#include "client/setup/torch_folder.h"
#include "client/setup/wheels.h"
#include "common/files.h"

namespace espalier::client {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class SetupTest : public ::testing::Test {
 protected:
  fs::path path(const std::string& name) const { return folder_.path() / name; }

  fs::path write(const std::string& name, const std::string& text) const {
    fs::create_directories(path(name).parent_path());
    std::ofstream(path(name)) << text;
    return path(name);
  }

  fs::path program(const std::string& name, const std::string& script) const {
    const fs::path file = write(name, "#!/bin/sh\n" + script);
    fs::permissions(file, fs::perms::owner_all);
    return file;
  }

  // A torch folder as a wheel unpacks it.
  fs::path torch(const std::string& name, const std::string& version, const std::string& cuda = "None") const {
    write(name + "/lib/libtorch_cpu.so", "");
    write(name + "/version.py", "from typing import Optional\n__version__ = '" + version +
                                    "'\ndebug = False\ncuda: Optional[str] = " + cuda + "\n");
    return path(name);
  }

  std::string verdict(const fs::path& folder, const WantedTorch& wanted) const {
    return std::string(check_torch(folder, wanted).message());
  }

  TempDir folder_ = *TempDir::create();
};

TEST_F(SetupTest, TakesOnlyTheVersionThatTheProgramsWereBuiltWith) {
  const WantedTorch wanted{"2.11.0"};
  EXPECT_EQ(verdict(torch("cpu", "2.11.0+cpu"), wanted), "");
  EXPECT_EQ(verdict(torch("plain", "2.11.0"), wanted), "");
  EXPECT_EQ(verdict(torch("cuda", "2.11.0+cu130", "'13.0'"), wanted), "");
  EXPECT_THAT(verdict(torch("old", "2.10.0+cpu"), wanted), HasSubstr("version 2.10.0, but these programs need 2.11.0"));
  EXPECT_THAT(verdict(path("none"), wanted), HasSubstr("no LibTorch"));
  write("silent/lib/libtorch_cpu.so", "");
  EXPECT_THAT(verdict(path("silent"), wanted), HasSubstr("version.py"));
}

TEST_F(SetupTest, ReadsTheVersionOfAnArchiveOfLibTorch) {
  write("libtorch/lib/libtorch_cpu.so", "");
  write("libtorch/build-version", "2.11.0+cu130\n");
  EXPECT_EQ(verdict(path("libtorch"), {"2.11.0"}), "");
  EXPECT_THAT(verdict(path("libtorch"), {"2.11.1"}), HasSubstr("2.11.0"));
  write("libtorch/lib/libtorch_cuda.so", "");
  EXPECT_EQ(verdict(path("libtorch"), {"2.11.0", "13.0"}), "");
}

TEST_F(SetupTest, WantsCudaOfTheSameVersionForProgramsThatUseIt) {
  const WantedTorch wanted{"2.11.0", "13.0"};
  const fs::path folder = torch("cuda", "2.11.0+cu130", "'13.0'");
  EXPECT_THAT(verdict(folder, wanted), HasSubstr("CUDA"));  // without its library
  write("cuda/lib/libtorch_cuda.so", "");
  EXPECT_EQ(verdict(folder, wanted), "");
  EXPECT_THAT(verdict(torch("cpu", "2.11.0+cpu"), wanted), HasSubstr("CUDA none, but these programs need CUDA 13.0"));
  EXPECT_THAT(verdict(torch("cuda", "2.11.0+cu128", "'12.8'"), wanted), HasSubstr("CUDA 12.8"));
}

TEST_F(SetupTest, RefusesWhatServicesCannotRead) {
  const WantedTorch wanted{"2.11.0", "none", true};
  EXPECT_THAT(verdict(torch("private", "2.11.0"), wanted), HasSubstr("services"));  // TempDir is for its owner alone
  ASSERT_EQ(::chmod(folder_.path().c_str(), 0755), 0);
  EXPECT_EQ(verdict(path("private"), wanted), "");
  ASSERT_EQ(::chmod(path("private/lib/libtorch_cpu.so").c_str(), 0600), 0);
  EXPECT_THAT(verdict(path("private"), wanted), HasSubstr("services"));
}

TEST_F(SetupTest, FindsTorchInAFolderOrAVirtualEnvironment) {
  const fs::path wheel = torch("env/lib/python3.11/site-packages/torch", "2.11.0");
  EXPECT_EQ(torch_in(wheel), wheel);
  EXPECT_EQ(torch_in(wheel.parent_path()), wheel);
  EXPECT_EQ(torch_in(path("env")), wheel);
  EXPECT_EQ(torch_in(path("elsewhere")), "");
}

TEST_F(SetupTest, LooksAtEarlierSetupsThenPythonsThenOpt) {
  const fs::path own = torch("own/lib/python3.11/site-packages/torch", "2.11.0");
  const fs::path of_python = torch("somewhere/torch", "2.11.0");
  const fs::path in_opt = torch("opt/libtorch", "2.11.0");
  program("bin/python3", "echo " + of_python.string() + "\n");
  program("bare/python3", "echo\n");      // has no torch
  program("broken/python3", "exit 3\n");  // is none
  program("second/python3", "echo " + own.string() + "\n");
  TorchPlaces places{.python_folder = path("own"),
                     .programs = {path("bin"), path("bare"), path("broken"), path("second"), path("no-such-folder")},
                     .opt = path("opt")};
  EXPECT_THAT(find_torch(places), ElementsAre(fs::canonical(own), fs::canonical(of_python), fs::canonical(in_opt)));
  EXPECT_THAT(find_torch({.python_folder = {}, .programs = {}, .opt = path("none")}), IsEmpty());
}

TEST_F(SetupTest, PutsALinkInPlaceThatMovesWithTheInstallation) {
  program("bin/espalier-train", "test -e \"$(dirname \"$0\")/../lib/espalier/torch/lib/libtorch_cpu.so\"\n");
  fs::create_directories(path("lib/espalier"));
  const TorchPlace place = torch_place(path("bin"));
  EXPECT_EQ(place.link, path("lib/espalier/torch"));
  EXPECT_FALSE(place.for_services);
  const fs::path inside = torch("lib/espalier/python/lib/python3.11/site-packages/torch", "2.11.0");
  EXPECT_TRUE(put_in_place(place, inside).ok());
  EXPECT_EQ(fs::read_symlink(place.link), "python/lib/python3.11/site-packages/torch");
  EXPECT_TRUE(put_in_place(place, torch("outside", "2.11.0")).ok());
  EXPECT_EQ(fs::read_symlink(place.link), fs::canonical(path("outside")));
}

TEST_F(SetupTest, KeepsWhatWasThereWhenTheProgramsDoNotStart) {
  program("bin/espalier-train", "grep -q good \"$(dirname \"$0\")/../lib/espalier/torch/version.py\" || exit 127\n");
  fs::create_directories(path("lib/espalier"));
  const TorchPlace place = torch_place(path("bin"));
  const fs::path bad = torch("bad", "2.11.0");
  EXPECT_TRUE(absl::IsFailedPrecondition(put_in_place(place, bad)));
  EXPECT_FALSE(fs::is_symlink(place.link));
  EXPECT_TRUE(put_in_place(place, torch("good", "good")).ok());
  EXPECT_FALSE(put_in_place(place, bad).ok());
  EXPECT_EQ(fs::read_symlink(place.link), fs::canonical(path("good")));
}

TEST_F(SetupTest, TheDebianPackageKeepsItsLinkInUsr) {
  fs::create_directories(path("lib/espalier"));
  fs::create_directories(path("bin"));
  fs::create_symlink("/var/lib/espalier/torch", path("lib/espalier/torch"));
  const TorchPlace place = torch_place(path("bin"));
  EXPECT_EQ(place.link, "/var/lib/espalier/torch");
  EXPECT_EQ(place.python_folder, "/var/lib/espalier/python");
  EXPECT_TRUE(place.for_services);
}

TEST(PipProgress, TellsHowFarADownloadIs) {
  PipProgress progress;
  EXPECT_THAT(progress.text(0, 0), HasSubstr("looking"));
  progress.line("Collecting torch==2.11.0");
  progress.line("  Downloading torch-2.11.0-cp311-cp311-manylinux_2_28_x86_64.whl (530.6 MB)");
  EXPECT_THAT(progress.text(265'300'000, 0), HasSubstr("50 %"));
  EXPECT_THAT(progress.text(265'300'000, 0), HasSubstr("torch"));
  progress.line("Installing collected packages: torch");
  EXPECT_TRUE(progress.unpacking());
  EXPECT_THAT(progress.text(0, 900'000'000), HasSubstr("unpacking"));
}

TEST_F(SetupTest, SaysWhatHelpsWhenPipFails) {
  const WheelOptions options{
      .python_folder = "/opt/x", .python = {}, .wanted = {"2.11.0"}, .companions = {}, .stop = {}};
  const struct {
    const char* output;
    absl::StatusCode code;
    const char* remedy;
  } kRows[] = {
      {"OSError: [Errno 28] No space left on device", absl::StatusCode::kResourceExhausted, "make room"},
      {"Failed to establish a new connection: Temporary failure in name resolution\nERROR: No matching distribution",
       absl::StatusCode::kUnavailable, "is the network up"},
      {"ERROR: No matching distribution found for torch==2.11.0", absl::StatusCode::kFailedPrecondition, "--python"},
      {"a\nb\nc\nd\ne\nsomething else", absl::StatusCode::kInternal, "something else"},
  };
  for (const auto& row : kRows) {
    const Status status = explain_pip(row.output, options);
    EXPECT_EQ(status.code(), row.code) << row.output;
    EXPECT_THAT(std::string(status.message()), HasSubstr(row.remedy));
  }
}

TEST_F(SetupTest, SaysThatTheVenvModuleIsMissing) {
  const fs::path python =
      program("bin/python3", "echo 'The virtual environment was not created: ensurepip is not available.'; exit 1\n");
  const auto made = install_wheels({.python_folder = path("python"),
                                    .python = python.string(),
                                    .wanted = {"2.11.0"},
                                    .companions = {},
                                    .silent = true,
                                    .stop = {}});
  if (absl::IsResourceExhausted(made.status())) GTEST_SKIP() << "too little disk";
  EXPECT_TRUE(absl::IsFailedPrecondition(made.status()));
  EXPECT_THAT(std::string(made.status().message()), HasSubstr("apt-get install python3-venv"));
}

TEST_F(SetupTest, InstallsWithPipAndFindsWhatItInstalled) {
  // A python3 whose "venv" holds a pip that makes a torch folder of the version it is asked for.
  const fs::path python = program("bin/python3", R"sh(mkdir -p "$3/bin"
cat > "$3/bin/pip" <<'EOF'
#!/bin/sh
echo "$@" > "$(dirname "$0")/arguments"
echo "  Downloading torch-2.11.0-py3-none-any.whl (1.0 MB)"
mkdir -p "$(dirname "$0")/../lib/python3.11/site-packages/torch/lib"
touch "$(dirname "$0")/../lib/python3.11/site-packages/torch/lib/libtorch_cpu.so"
EOF
chmod +x "$3/bin/pip")sh");
  WheelOptions options{.python_folder = path("python"),
                       .python = python.string(),
                       .wanted = {"2.11.0"},
                       .companions = {"nvidia-cuda-runtime==13.0.96"},
                       .silent = true,
                       .stop = {}};
  const auto torch = install_wheels(options);
  if (absl::IsResourceExhausted(torch.status())) GTEST_SKIP() << "too little disk";
  ASSERT_TRUE(torch.ok()) << torch.status();
  EXPECT_EQ(*torch, path("python/lib/python3.11/site-packages/torch"));
  EXPECT_THAT(*read_file(path("python/bin/arguments")),
              HasSubstr("torch==2.11.0 --no-deps nvidia-cuda-runtime==13.0.96"));
}

}  // namespace
}  // namespace espalier::client
