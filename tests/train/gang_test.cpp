#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <nlohmann/json.hpp>
#include <random>

#include "absl/strings/str_cat.h"
#include "common/events.h"
#include "common/exit_codes.h"
#include "common/files.h"
#include "common/sha256.h"
#include "tests/train/tiny_base.h"
#include "tests/train/train_process.h"

// Several ranks, each a process of its own: Gloo over TCP on this machine.
namespace espalier::train {
namespace {

using testing::Each;
using testing::HasSubstr;

int random_step(int last) {
  return std::uniform_int_distribution<int>(1, last)(*std::make_unique<std::random_device>());
}

class Gang : public testing::Test {
 protected:
  void SetUp() override { write_tiny_world(world_.path()); }
  // One sample is a loss call: four for four ranks.
  TrainConfig config(const std::string& name) const {
    auto config = tiny_config(world_.path(), name);
    config.micro_batch = 1;
    return config;
  }
  std::vector<std::string> checkpoints(const std::string& every) const {
    return {"--checkpoint-dir", world_.path() / "ckpt", "--checkpoint-every", every};
  }
  // The adapter of one undisturbed process.
  std::string alone() const {
    EXPECT_EQ(TrainProcess(config("alone"), {}).finish(), kExitOk);
    return *sha256_hex_of_file(config("alone").output);
  }

  TempDir world_ = *TempDir::create("train_gang");
};

TEST_F(Gang, GivesTheSameBitsForAnyNumberOfRanks) {
  const auto want = alone();
  for (const int world_size : {2, 3, 6}) {  // a batch has four loss calls: two of six ranks have none
    const auto shared = config(absl::StrCat("world_", world_size));
    EXPECT_THAT(TrainGang(shared, world_size).finish(), Each(kExitOk)) << world_size;
    EXPECT_EQ(*sha256_hex_of_file(shared.output), want) << world_size << " ranks";
  }
}

TEST_F(Gang, GoesOnWithFewerRanksAfterOneIsKilled) {
  const auto want = alone();
  const int step = random_step(95);
  const auto killed = config("killed");
  {
    TrainGang gang(killed, 4, checkpoints("7"));
    SCOPED_TRACE(absl::StrCat("killed after step ", step));
    gang.rank(0).wait_for("step", step);
    gang.rank(step % 3 + 1).kill(SIGKILL);
    const auto codes = gang.finish();
    for (int rank = 0; rank < 4; ++rank) EXPECT_EQ(codes[rank], rank == step % 3 + 1 ? -SIGKILL : kExitFailed);
    ASSERT_FALSE(std::filesystem::exists(killed.output));
  }
  TrainGang fewer(killed, 3, checkpoints("7"));
  EXPECT_EQ(fewer.rank(1).wait_for("started")["resumed_at"], fewer.rank(0).wait_for("started")["resumed_at"]);
  EXPECT_THAT(fewer.finish(), Each(kExitOk));
  EXPECT_EQ(*sha256_hex_of_file(killed.output), want);
}

TEST_F(Gang, StopsTogetherWithACheckpoint) {
  const auto want = alone();
  const auto stopped = config("stopped");
  {
    TrainGang gang(stopped, 2, checkpoints("10000"));
    gang.rank(0).wait_for("step", 5);
    gang.rank(1).kill(SIGTERM);
    EXPECT_TRUE(gang.rank(0).wait_for("checkpoint").is_object());
    EXPECT_THAT(gang.finish(), Each(kExitCancelled));
  }
  EXPECT_EQ(TrainProcess(stopped, checkpoints("10000")).finish(), kExitOk);
  EXPECT_EQ(*sha256_hex_of_file(stopped.output), want);
}

TEST_F(Gang, NoticesARankThatHangs) {
  TrainGang gang(config("hung"), 2, {"--answer-timeout", "2"});
  gang.rank(0).wait_for("step", 3);
  gang.rank(1).kill(SIGSTOP);
  const auto error = gang.rank(0).wait_for("error");
  EXPECT_EQ(error["code"], "DEADLINE_EXCEEDED");
  EXPECT_THAT(error.value("message", ""), HasSubstr("hangs"));
  EXPECT_EQ(gang.rank(0).finish(), kExitFailed);
  gang.rank(1).kill(SIGCONT);
  EXPECT_TRUE(gang.rank(1).wait_for("error").is_object());
  EXPECT_EQ(gang.rank(1).finish(), kExitFailed);
}

TEST_F(Gang, NamesTheRankThatNeverComes) {
  TrainProcess first(config("lonely"),
                     {"--world-size", "3", "--rendezvous", "127.0.0.1:0", "--rendezvous-timeout", "15"});
  const int port = first.wait_for("rendezvous")["port"];
  TrainProcess second(config("lonely"), {"--world-size", "3", "--member", "1", "--rendezvous",
                                         absl::StrCat("127.0.0.1:", port), "--rendezvous-timeout", "15"});
  const auto error = first.wait_for("error");
  EXPECT_EQ(error["code"], "DEADLINE_EXCEEDED");
  // On a starved machine the second rank may be late, too.
  EXPECT_THAT(error.value("message", ""), HasSubstr("2 did not come"));
  EXPECT_EQ(first.finish(), kExitFailed);
  EXPECT_EQ(second.finish(), kExitFailed);
}

TEST_F(Gang, SaysWhenRankZeroCannotBeReached) {
  TrainProcess second(config("unreached"), {"--world-size", "2", "--member", "1", "--rendezvous", "127.0.0.1:1",
                                            "--rendezvous-timeout", "1"});
  const auto error = second.wait_for("error");
  EXPECT_EQ(error["code"], "UNAVAILABLE");
  EXPECT_THAT(error.value("message", ""), HasSubstr("127.0.0.1:1"));
  EXPECT_EQ(second.finish(), kExitFailed);
}

TEST_F(Gang, RefusesRanksWithDifferentArguments) {
  TrainProcess first(config("first"), {"--world-size", "2", "--rendezvous", "127.0.0.1:0"});
  const int port = first.wait_for("rendezvous")["port"];
  TrainProcess second(config("first"), {"--world-size", "2", "--member", "1", "--rendezvous",
                                        absl::StrCat("127.0.0.1:", port), "--seed", "8"});
  EXPECT_EQ(first.wait_for("error")["code"], "FAILED_PRECONDITION");
  EXPECT_EQ(first.finish(), kExitInvalid);
  EXPECT_EQ(second.finish(), kExitInvalid);
}

TEST_F(Gang, CanBeToldByTheEnvironment) {
  TrainProcess only(config("only"), {}, {{"WORLD_SIZE", "1"}, {"RANK", "1"}});
  EXPECT_EQ(only.finish(), kExitInvalid);
  TrainProcess first(config("both"), {"--world-size", "2", "--rendezvous", "127.0.0.1:0"});
  const int port = first.wait_for("rendezvous")["port"];
  TrainProcess second(
      config("both"), {},
      {{"RANK", "1"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "127.0.0.1"}, {"MASTER_PORT", absl::StrCat(port)}});
  EXPECT_EQ(first.finish(), kExitOk);
  EXPECT_EQ(second.finish(), kExitOk);
}

// The same promises on the base that is shipped.
class NanoGang : public Gang {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kBase + "/pipeline.json")) GTEST_SKIP() << "models/nano is not in the source tree";
    write_nano_dataset(world_.path(), 2);
  }
  TrainConfig nano(const std::string& name) const {
    auto nano = config(name);
    nano.base = kBase;
    return nano;
  }
  const std::string kBase = std::string(ESP_SOURCE_DIR) + "/models/nano";
};

TEST_F(NanoGang, TrainsTheSameBitsOnOneTwoAndFourRanksAlsoAfterAKill) {
  std::vector<std::string> digests;
  for (const int world_size : {1, 2, 4}) {
    const auto shared = nano(absl::StrCat("nano_", world_size));
    EXPECT_THAT(TrainGang(shared, world_size).finish(), Each(kExitOk)) << world_size;
    digests.push_back(*sha256_hex_of_file(shared.output));
  }
  EXPECT_THAT(digests, Each(digests[0]));

  const auto killed = nano("nano_killed");
  const int step = random_step(90);
  SCOPED_TRACE(absl::StrCat("killed after step ", step));
  TrainGang first(killed, 4, checkpoints("11"));
  first.rank(0).wait_for("step", step);
  first.rank(step % 4).kill(SIGKILL);
  first.finish();
  EXPECT_THAT(TrainGang(killed, 2, checkpoints("11")).finish(), Each(kExitOk));
  EXPECT_EQ(*sha256_hex_of_file(killed.output), digests[0]);
}

}  // namespace
}  // namespace espalier::train
