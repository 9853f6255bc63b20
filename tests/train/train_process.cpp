#include "tests/train/train_process.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>

#include "absl/strings/str_cat.h"

namespace espalier::train {
namespace {

using nlohmann::json;

std::vector<std::string> arguments_of(const TrainConfig& config, int events_fd) {
  std::vector<std::string> arguments = {std::string(ESP_BIN_DIR) + "/espalier-train"};
  const auto add = [&](const char* option, const std::string& value) {
    arguments.push_back(option);
    arguments.push_back(value);
  };
  add("--dataset", config.dataset);
  add("--base", config.base);
  add("-o", config.output);
  add("--denoiser", config.denoiser);
  add("--resolution", absl::StrCat(config.resolution));
  add("--rank", absl::StrCat(config.rank));
  add("--steps", absl::StrCat(config.steps));
  add("--lr", absl::StrCat(*config.learning_rate));
  if (config.batch_size) add("--batch-size", absl::StrCat(*config.batch_size));
  if (config.micro_batch > 0) add("--micro-batch", absl::StrCat(config.micro_batch));
  if (config.max_tokens_per_call > 0) add("--max-tokens-per-call", absl::StrCat(config.max_tokens_per_call));
  add("--save-dtype", config.save_dtype);
  add("--threads", "1");
  for (const int view : config.holdout_views) add("--holdout-view", absl::StrCat(view));
  add("--progress-fd", absl::StrCat(events_fd));
  return arguments;
}

}  // namespace

TrainProcess::TrainProcess(const TrainConfig& config, const std::vector<std::string>& more,
                           const std::vector<std::pair<std::string, std::string>>& environment) {
  int ends[2];
  if (pipe(ends) != 0) throw std::runtime_error("pipe");
  auto arguments = arguments_of(config, ends[1]);
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

TrainProcess::~TrainProcess() {
  if (pid_ > 0) kill(SIGKILL), wait();
  std::fclose(events_);
}

json TrainProcess::next() {
  char* text = nullptr;
  size_t size = 0;
  const auto length = getline(&text, &size, events_);
  const json event = length > 0 ? json::parse(text, nullptr, false) : json();
  std::free(text);
  return event;
}

json TrainProcess::wait_for(const std::string& kind, int64_t step) {
  for (auto event = next(); event.is_object(); event = next()) {
    if (event["event"] == kind && event.value("step", int64_t{0}) >= step) return event;
  }
  return {};
}

int TrainProcess::wait() {
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int TrainProcess::finish() {
  while (next().is_object()) {
  }
  return wait();
}

TrainGang::TrainGang(const TrainConfig& config, int world_size, const std::vector<std::string>& more) {
  int port = 0;
  for (int index = 0; index < world_size; ++index) {
    std::vector<std::string> arguments = {"--world-size", absl::StrCat(world_size),
                                          "--member",     absl::StrCat(index),
                                          "--rendezvous", absl::StrCat("127.0.0.1:", port)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    ranks_.push_back(std::make_unique<TrainProcess>(config, arguments));
    if (index > 0 || world_size == 1) continue;
    const auto event = rank(0).wait_for("rendezvous");
    if (!event.is_object()) throw std::runtime_error("rank 0 did not listen");
    port = event["port"];
  }
}

std::vector<int> TrainGang::finish() {
  std::vector<int> codes;
  for (auto& rank : ranks_) codes.push_back(rank->finish());
  return codes;
}

}  // namespace espalier::train
