#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <torch/types.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <random>

#include "absl/strings/str_cat.h"
#include "common/events.h"
#include "common/files.h"
#include "common/sha256.h"
#include "nn/io/safetensors.h"
#include "tests/train/tiny_base.h"

// The real program in real processes: killed, stopped, and as several ranks.
namespace espalier::train {
namespace {

using nlohmann::json;

class Process {
 public:
  Process(const TrainConfig& config, const std::vector<std::string>& more,
          const std::vector<std::pair<std::string, std::string>>& environment = {}) {
    int ends[2];
    if (pipe(ends) != 0) throw std::runtime_error("pipe");
    std::vector<std::string> arguments = {std::string(ESP_BIN_DIR) + "/espalier-train",
                                          "--dataset",
                                          config.dataset,
                                          "--base",
                                          config.base,
                                          "-o",
                                          config.output,
                                          "--rank",
                                          "16",
                                          "--steps",
                                          absl::StrCat(config.steps),
                                          "--lr",
                                          absl::StrCat(config.learning_rate),
                                          "--batch-size",
                                          "4",
                                          "--save-dtype",
                                          "fp32",
                                          "--threads",
                                          "1",
                                          "--holdout-view",
                                          "5",
                                          "--progress-fd",
                                          absl::StrCat(ends[1])};
    arguments.insert(arguments.end(), more.begin(), more.end());
    std::vector<char*> argv;
    for (auto& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    pid_ = fork();
    if (pid_ == 0) {
      for (const auto& [key, value] : environment) setenv(key.c_str(), value.c_str(), 1);
      execv(argv[0], argv.data());
      _exit(127);
    }
    close(ends[1]);
    events_ = fdopen(ends[0], "r");
  }
  ~Process() {
    if (pid_ > 0) kill(SIGKILL), wait();
    std::fclose(events_);
  }
  // The next event; null at the end.
  json next() {
    char* text = nullptr;
    size_t size = 0;
    const auto length = getline(&text, &size, events_);
    const json event = length > 0 ? json::parse(text, nullptr, false) : json();
    std::free(text);
    return event;
  }
  void read_until_step(int64_t step) {
    for (auto event = next(); event.is_object(); event = next()) {
      if (event["event"] == "step" && event["step"] >= step) return;
    }
  }
  void kill(int signal) { ::kill(pid_, signal); }
  // Exit code, or minus the signal.
  int wait() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  int finish() {
    while (next().is_object()) {
    }
    return wait();
  }

 private:
  pid_t pid_ = -1;
  std::FILE* events_ = nullptr;
};

class TrainProcess : public testing::Test {
 protected:
  void SetUp() override { write_tiny_world(world_.path()); }
  TempDir world_ = *TempDir::create("train_process");
};

TEST_F(TrainProcess, GivesTheSameAdapterAfterBeingKilledAtARandomStep) {
  const auto whole = tiny_config(world_.path(), "whole"), killed = tiny_config(world_.path(), "killed");
  ASSERT_EQ(Process(whole, {}).finish(), kExitOk);

  const auto step = std::uniform_int_distribution<int64_t>(1, 95)(*std::make_unique<std::random_device>());
  SCOPED_TRACE(absl::StrCat("killed after step ", step));
  const std::vector<std::string> checkpoints = {"--checkpoint-dir", world_.path() / "ckpt", "--checkpoint-every", "7"};
  Process first(killed, checkpoints);
  first.read_until_step(step);
  first.kill(SIGKILL);
  ASSERT_EQ(first.wait(), -SIGKILL);
  ASSERT_FALSE(std::filesystem::exists(killed.output));
  ASSERT_EQ(Process(killed, checkpoints).finish(), kExitOk);
  EXPECT_EQ(*sha256_hex_of_file(killed.output), *sha256_hex_of_file(whole.output));
}

TEST_F(TrainProcess, LeavesWithACheckpointOnSigterm) {
  auto config = tiny_config(world_.path(), "stopped");
  config.steps = 10000;
  Process process(config, {"--checkpoint-dir", world_.path() / "ckpt", "--checkpoint-every", "10000"});
  process.read_until_step(5);
  process.kill(SIGTERM);
  bool saved = false;
  for (auto event = process.next(); event.is_object(); event = process.next()) saved |= event["event"] == "checkpoint";
  EXPECT_EQ(process.wait(), kExitCancelled);
  EXPECT_TRUE(saved);
  EXPECT_FALSE(std::filesystem::exists(config.output));
}

TEST_F(TrainProcess, CallsWrongArgumentsInvalid) {
  auto config = tiny_config(world_.path(), "bad");
  config.steps = 99;
  Process process(config, {});
  const auto event = process.next();
  EXPECT_EQ(event["event"], "error");
  EXPECT_EQ(event["code"], "INVALID_ARGUMENT");
  EXPECT_EQ(process.finish(), kExitInvalid);
}

int free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  bind(fd, reinterpret_cast<sockaddr*>(&address), size);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  close(fd);
  return ntohs(address.sin_port);
}

TEST_F(TrainProcess, TrainsTheSameOnTwoRanksAsOnOne) {
  const auto one = tiny_config(world_.path(), "one"), two = tiny_config(world_.path(), "two");
  ASSERT_EQ(Process(one, {}).finish(), kExitOk);
  const auto port = std::to_string(free_port());
  const auto rank = [&](const char* index) {
    return std::make_unique<Process>(
        two, std::vector<std::string>{},
        std::vector<std::pair<std::string, std::string>>{
            {"RANK", index}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "127.0.0.1"}, {"MASTER_PORT", port}});
  };
  auto first = rank("0"), second = rank("1");
  ASSERT_EQ(first->finish(), kExitOk);
  ASSERT_EQ(second->finish(), kExitOk);
  const auto want = *nn::SafetensorsFile::open(one.output)->tensors();
  const auto got = *nn::SafetensorsFile::open(two.output)->tensors();
  ASSERT_EQ(want.size(), got.size());
  double square = 0, count = 0;
  for (const auto& [name, tensor] : want) {
    const auto difference = (tensor - got.at(name)).to(torch::kFloat64);
    square += difference.square().sum().item<double>();
    count += static_cast<double>(difference.numel());
  }
  // AdamW's first updates follow the sign of a gradient, so an element whose gradient is rounding noise may differ.
  EXPECT_LT(std::sqrt(square / count), 1e-6);
}

}  // namespace
}  // namespace espalier::train
