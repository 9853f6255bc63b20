#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/doctor/files.h"
#include "client/doctor/kernel.h"
#include "client/doctor/network.h"
#include "client/doctor/programs.h"
#include "client/doctor/resources.h"
#include "common/files.h"
#include "common/sha256.h"
#include "tests/client/command_line.h"
#include "tests/coordinator/local_channel.h"
#include "tests/coordinator/running_coordinator.h"

namespace espalier::client {
namespace {

namespace fs = std::filesystem;
using coordinator::RunningCoordinator;
using ::testing::HasSubstr;
using ::testing::Not;

// Files of a machine, made up.
class DoctorTest : public ::testing::Test {
 protected:
  void write(const fs::path& file, const std::string& text, mode_t mode = 0644) {
    const fs::path path = folder_.path() / file;
    fs::create_directories(path.parent_path());
    ASSERT_TRUE(write_file_atomic(path, text).ok());
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
  }
  CgroupPlace cgroup() { return {folder_.path() / "proc/self/cgroup", folder_.path() / "cgroup"}; }
  fs::path proc() { return folder_.path() / "proc"; }

  TempDir folder_ = *TempDir::create("doctor");
};

TEST_F(DoctorTest, ReadsWhatTheKernelConfinesWith) {
  EXPECT_FALSE(read_kernel(proc()).seccomp);
  EXPECT_FALSE(read_kernel(proc()).no_new_privs);
  write("proc/self/status", "Name:\tcat\nNoNewPrivs:\t0\nSeccomp:\t0\n");
  write("proc/sys/kernel/seccomp/actions_avail", "kill_process kill_thread trap errno log allow\n");
  EXPECT_TRUE(read_kernel(proc()).seccomp);
  EXPECT_TRUE(read_kernel(proc()).no_new_privs);
}

TEST_F(DoctorTest, AKernelWithoutFiltersFailsAndOneWithoutLandlockWarns) {
  for (const DoctorRow& row : kernel_rows({3, true, true})) EXPECT_EQ(row.health, Health::kOk) << row.what;
  const DoctorRows poor = kernel_rows({0, false, false});
  ASSERT_EQ(poor.size(), 3u);
  EXPECT_EQ(poor[0].health, Health::kWarn);
  EXPECT_EQ(poor[1].health, Health::kFail);
  EXPECT_EQ(poor[2].health, Health::kFail);
  for (const DoctorRow& row : poor) EXPECT_FALSE(row.remedy.empty()) << row.what;
}

TEST_F(DoctorTest, TellsHowManyCoresAQuotaLeaves) {
  EXPECT_EQ(cores_row(8, cgroup(), "").found, "8");
  write("proc/self/cgroup", "0::/box\n");
  write("cgroup/box/cpu.max", "150000 100000\n");
  const DoctorRow row = cores_row(8, cgroup(), "2");
  EXPECT_EQ(row.health, Health::kOk);
  EXPECT_THAT(row.found, HasSubstr("2 of 8"));
  EXPECT_EQ(cores_row(8, cgroup(), "8").health, Health::kWarn);
  EXPECT_THAT(cores_row(8, cgroup(), "8").remedy, HasSubstr("OMP_NUM_THREADS"));
}

TEST_F(DoctorTest, TellsHowMuchMemoryALimitLeaves) {
  EXPECT_EQ(memory_row(proc(), cgroup()).health, Health::kWarn) << "no meminfo";
  write("proc/meminfo", "MemTotal:       16000000 kB\nMemFree:        100 kB\n");
  EXPECT_EQ(memory_row(proc(), cgroup()).health, Health::kOk);
  EXPECT_EQ(memory_row(proc(), cgroup()).found, "16.4 GB");
  write("proc/self/cgroup", "0::/box\n");
  write("cgroup/box/memory.max", "2000000000\n");
  const DoctorRow row = memory_row(proc(), cgroup());
  EXPECT_EQ(row.health, Health::kWarn);
  EXPECT_THAT(row.found, HasSubstr("2.0 GB of 16.4 GB"));
}

TEST_F(DoctorTest, WarnsOfLittleDiskAndFailsWithoutAny) {
  EXPECT_EQ(disk_row("data", "/d", int64_t{100} << 30).health, Health::kOk);
  EXPECT_EQ(disk_row("data", "/d", int64_t{5} << 30).health, Health::kWarn);
  EXPECT_EQ(disk_row("data", "/d", 1000).health, Health::kFail);
  EXPECT_THAT(disk_row("data", folder_.path() / "not/yet").found, HasSubstr("not/yet"));
}

TEST_F(DoctorTest, ReadsTheWholeBase) {
  EXPECT_EQ(base_row(folder_.path() / "none").health, Health::kFail);
  write("base/pipeline.json", "{}");
  write("base/espalier.json", R"({"name": "tiny"})");
  EXPECT_EQ(base_row(folder_.path() / "base").health, Health::kWarn) << "no digests";
  const nlohmann::json about = {{"name", "tiny"},
                                {"sha256", {{"a.bin", sha256_hex("a")}, {"pipeline.json", sha256_hex("{}")}}}};
  write("base/espalier.json", about.dump());
  EXPECT_THAT(base_row(folder_.path() / "base").found, HasSubstr("a.bin cannot be read"));
  write("base/a.bin", "b");
  EXPECT_THAT(base_row(folder_.path() / "base").found, HasSubstr("a.bin has other content"));
  write("base/a.bin", "a");
  const DoctorRow row = base_row(folder_.path() / "base");
  EXPECT_EQ(row.health, Health::kOk);
  EXPECT_THAT(row.found, HasSubstr("2 files"));
}

TEST_F(DoctorTest, FindsKeyFilesThatOthersMayRead) {
  EXPECT_EQ(keys_row(folder_.path() / "keys", {""}).health, Health::kOk) << "none yet";
  write("keys/operator.key", "key_1:secret", 0600);
  write("mine.key", "key_2:secret", 0600);
  EXPECT_THAT(keys_row(folder_.path() / "keys", {folder_.path() / "mine.key"}).found, HasSubstr("2, readable"));
  write("mine.key", "key_2:secret", 0640);
  const DoctorRow row = keys_row(folder_.path() / "keys", {folder_.path() / "mine.key"});
  EXPECT_EQ(row.health, Health::kFail);
  EXPECT_THAT(row.remedy, HasSubstr("chmod 600 " + (folder_.path() / "mine.key").string()));
  EXPECT_THAT(row.found, Not(HasSubstr("operator.key")));
}

TEST_F(DoctorTest, StartsTheProgramsAndComparesTheirBuilds) {
  const std::string own = "espalier 0.1.0 (commit abc)\nLibTorch 2.11.0, CUDA none\nbase nano";
  const fs::path programs = folder_.path() / "programs";
  EXPECT_EQ(programs_row(programs, own).health, Health::kFail) << "none there";
  for (const char* name : {"coordinator", "worker", "preprocess", "train", "evaluate", "infer"}) {
    write(absl::StrCat("programs/espalier-", name),
          absl::StrCat("#!/bin/sh\necho 'espalier-", name, " 0.1.0 (commit abc)'\necho 'LibTorch 2.11.0'\n"), 0755);
  }
  EXPECT_EQ(programs_row(programs, own).health, Health::kOk) << programs_row(programs, own).found;
  EXPECT_THAT(programs_row(programs, own).found, HasSubstr("LibTorch 2.11.0"));
  write("programs/espalier-infer", "#!/bin/sh\necho 'espalier-infer 0.0.9 (commit old)'\n", 0755);
  EXPECT_EQ(programs_row(programs, own).health, Health::kWarn);
  write("programs/espalier-train", "#!/bin/sh\necho 'libtorch.so: cannot open shared object file' >&2\nexit 127\n",
        0755);
  EXPECT_EQ(programs_row(programs, own).health, Health::kFail);
  EXPECT_THAT(programs_row(programs, own).found, HasSubstr("espalier-train: libtorch.so"));
}

TEST_F(DoctorTest, ABlenderIsOptional) {
  EXPECT_EQ(blender_row(fs::path("/usr/bin/blender")).health, Health::kOk);
  EXPECT_EQ(blender_row(absl::NotFoundError("run scripts/install-blender")).health, Health::kWarn);
}

TEST(DoctorClock, MustBeSaneAndTheCoordinators) {
  constexpr int64_t kNow = 1'800'000'000;  // 2027
  EXPECT_EQ(clock_row(kNow, std::nullopt).health, Health::kOk);
  EXPECT_EQ(clock_row(0, std::nullopt).health, Health::kFail);
  EXPECT_EQ(clock_row(kNow, kNow + 5).health, Health::kOk);
  EXPECT_EQ(clock_row(kNow, kNow + 300).health, Health::kWarn);
  EXPECT_THAT(clock_row(kNow, kNow + 300).found, HasSubstr("300 s behind the coordinator's"));
}

TEST(DoctorNetwork, KnowsOurServersFromOthers) {
  RunningCoordinator running;
  int port = 0;
  ASSERT_TRUE(absl::SimpleAtoi(std::string(absl::StripPrefix(running.coordinator->address(), "127.0.0.1:")), &port));
  EXPECT_EQ(port_use(port, "/espalier.v1.JobService/GetJob"), PortUse::kOurs);
  EXPECT_EQ(port_use(port, "/espalier.v1.InferenceService/ExtractGlb"), PortUse::kTaken)
      << "another of ours in its place";

  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), length), 0);
  ASSERT_EQ(::listen(fd, 1), 0);
  ASSERT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length), 0);
  EXPECT_EQ(port_use(ntohs(address.sin_port), "/espalier.v1.JobService/GetJob"), PortUse::kTaken);
  ::close(fd);
  EXPECT_EQ(port_use(ntohs(address.sin_port), "/espalier.v1.JobService/GetJob"), PortUse::kFree);
  EXPECT_EQ(port_row("coordinator", 7430, PortUse::kTaken).health, Health::kFail);
}

TEST(DoctorNetwork, AsksTheCoordinatorForItsTime) {
  RunningCoordinator running;
  Command command;
  EXPECT_EQ(coordinator_clock(command), std::nullopt) << "no channel";
  command.channel = coordinator::local_channel(running.config, running.coordinator->address());
  EXPECT_EQ(coordinator_clock(command), running.clock.now_us() / 1'000'000);
}

TEST(Doctor, TellsEveryRowAsJson) {
  const TempDir folder = *TempDir::create("doctor");
  Command command;
  command.json = true;
  command.coordinator = "127.0.0.1:1";
  const Output output = run_client(command, {add_doctor}, {"doctor", "--data-dir", folder.path()});
  bool failed = false;
  size_t rows = 0;
  for (const auto line : absl::StrSplit(output.text, '\n', absl::SkipEmpty())) {
    const auto row = nlohmann::json::parse(line);
    EXPECT_EQ(row.at("state") == "ok", row.at("remedy") == "") << line;
    failed |= row.at("state") == "fail";
    ++rows;
  }
  EXPECT_EQ(rows, 14u);
  EXPECT_EQ(output.status.ok(), !failed) << output.text;
}

}  // namespace
}  // namespace espalier::client
