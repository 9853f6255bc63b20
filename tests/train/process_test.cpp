#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "absl/strings/str_cat.h"
#include "common/events.h"
#include "common/exit_codes.h"
#include "common/files.h"
#include "common/sha256.h"
#include "tests/train/tiny_base.h"
#include "tests/train/train_process.h"

// The real program as one process: killed and stopped.
namespace espalier::train {
namespace {

class OneProcess : public testing::Test {
 protected:
  void SetUp() override { write_tiny_world(world_.path()); }
  TempDir world_ = *TempDir::create("train_process");
};

TEST_F(OneProcess, GivesTheSameAdapterAfterBeingKilledAtARandomStep) {
  const auto whole = tiny_config(world_.path(), "whole"), killed = tiny_config(world_.path(), "killed");
  ASSERT_EQ(TrainProcess(whole, {}).finish(), kExitOk);

  const auto step = std::uniform_int_distribution<int64_t>(1, 95)(*std::make_unique<std::random_device>());
  SCOPED_TRACE(absl::StrCat("killed after step ", step));
  const std::vector<std::string> checkpoints = {"--checkpoint-dir", world_.path() / "ckpt", "--checkpoint-every", "7"};
  TrainProcess first(killed, checkpoints);
  first.wait_for("step", step);
  first.kill(SIGKILL);
  ASSERT_EQ(first.wait(), -SIGKILL);
  ASSERT_FALSE(std::filesystem::exists(killed.output));
  ASSERT_EQ(TrainProcess(killed, checkpoints).finish(), kExitOk);
  EXPECT_EQ(*sha256_hex_of_file(killed.output), *sha256_hex_of_file(whole.output));
}

TEST_F(OneProcess, LeavesWithACheckpointOnSigterm) {
  auto config = tiny_config(world_.path(), "stopped");
  config.steps = 10000;
  TrainProcess process(config, {"--checkpoint-dir", world_.path() / "ckpt", "--checkpoint-every", "10000"});
  process.wait_for("step", 5);
  process.kill(SIGTERM);
  EXPECT_TRUE(process.wait_for("checkpoint").is_object());
  EXPECT_EQ(process.finish(), kExitCancelled);
  EXPECT_FALSE(std::filesystem::exists(config.output));
}

TEST_F(OneProcess, LetsItsWaitingThreadsSleep) {
  TrainProcess process(tiny_config(world_.path(), "waits"), {});
  ASSERT_TRUE(process.wait_for("started").is_object());
  std::ifstream file(absl::StrCat("/proc/", process.pid(), "/environ"));
  const std::string environment(std::istreambuf_iterator<char>(file), {});
  EXPECT_NE(environment.find("OMP_WAIT_POLICY="), std::string::npos);
}

TEST_F(OneProcess, CallsWrongArgumentsInvalid) {
  auto config = tiny_config(world_.path(), "bad");
  config.steps = 99;
  TrainProcess process(config, {});
  const auto event = process.next();
  EXPECT_EQ(event["event"], "error");
  EXPECT_EQ(event["code"], "INVALID_ARGUMENT");
  EXPECT_EQ(process.finish(), kExitInvalid);
}

}  // namespace
}  // namespace espalier::train
