#include "tests/e2e/installation.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <thread>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/files.h"
#include "process/child.h"

namespace espalier::e2e {
namespace {

namespace fs = std::filesystem;

const fs::path kPrograms = ESP_BIN_DIR;
const fs::path kBase = fs::path(ESP_SOURCE_DIR) / "models/nano";

template <class T>
T value_or_die(Result<T> result) {
  if (!result.ok()) {
    ADD_FAILURE() << result.status();
    std::abort();
  }
  return *std::move(result);
}

std::string command_line_of(const fs::path& process) {
  std::ifstream file(process / "cmdline", std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

pid_t find_process(const std::string& program, const fs::path& folder, const std::string& argument) {
  for (const auto& process : fs::directory_iterator("/proc")) {
    const auto name = process.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const auto line = command_line_of(process.path());
    const bool is_program = line.starts_with((kPrograms / program).string() + '\0');
    const auto has = [&](const std::string& text) { return line.find(text) != std::string::npos; };
    if (is_program && has(folder.string()) && has(argument)) return std::stoi(name);
  }
  return 0;
}

}  // namespace

std::string Output::text() const { return absl::StrJoin(lines, "\n"); }

Output run_program(const std::vector<std::string>& argv, const std::vector<std::string>& environment,
                   const std::function<void(const std::string&)>& on_line) {
  Output output;
  process::ChildObserver observer;
  observer.on_event = [](std::string_view) {};
  observer.on_tick = [] {};
  observer.on_log = [&](std::string_view line) {
    output.lines.emplace_back(line);
    if (on_line) on_line(output.lines.back());
  };
  process::ChildSpec spec{argv, environment};
  spec.argv[0] = (kPrograms / argv[0]).string();
  spec.environment.push_back("PATH=/usr/bin:/bin");
  const auto exit = process::run_child(spec, observer, {}, std::chrono::seconds(5));
  EXPECT_TRUE(exit.ok()) << exit.status();
  output.code = exit.ok() ? (exit->signal != 0 ? 128 + exit->signal : exit->code) : -1;
  return output;
}

Installation::Installation() : folder_(value_or_die(TempDir::create("espalier-e2e"))) {
  services_ = std::make_unique<client::Services>(value_or_die(client::Services::start(
      {.programs = kPrograms, .data_dir = folder(), .base = kBase, .coordinator_port = 0, .inference_port = 0}, {})));
}

Installation::~Installation() = default;

Output Installation::espalier(std::vector<std::string> arguments,
                              const std::function<void(const std::string&)>& on_line) const {
  arguments.insert(arguments.begin(), "espalier");
  return run_program(arguments, environment(), on_line);
}

std::vector<std::string> Installation::environment() const {
  return {"ESPALIER_COORDINATOR=" + services_->coordinator(), "ESPALIER_INFERENCE=" + services_->inference(),
          "ESPALIER_KEY_FILE=" + services_->key_file().string()};
}

std::string Installation::espalier_json(std::vector<std::string> arguments) const {
  // Through a file: a child's lines are cut at 4096 bytes, and a job may be longer.
  static std::atomic<int> calls{0};
  const std::string file = (folder() / ("output-" + std::to_string(++calls))).string();
  arguments.insert(arguments.begin(),
                   {"/bin/sh", "-c", "exec \"$@\" > " + file, "sh", (kPrograms / "espalier").string()});
  arguments.push_back("--json");
  const auto output = run_program(arguments, environment());
  const std::string text = read_file(file).value_or("");
  EXPECT_EQ(output.code, 0) << output.text() << text;
  const std::vector<std::string> lines = absl::StrSplit(text, '\n', absl::SkipEmpty());
  return lines.empty() ? "{}" : lines.back();
}

bool Installation::kill_program(const std::string& name) const {
  const pid_t pid = find_program(name, "");
  return pid != 0 && ::kill(pid, SIGKILL) == 0;
}

pid_t Installation::find_program(const std::string& name, const std::string& argument) const {
  for (int i = 0; i < 600; ++i) {
    if (const pid_t pid = find_process(name, folder(), argument); pid != 0) return pid;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return 0;
}

const Installation& installation() {
  static const Installation shared;
  return shared;
}

const fs::path& assets() {
  static const fs::path zip = [] {
    const auto path = installation().folder() / "assets.zip";
    const auto made = run_program({"espalier-nano", "demo-assets", "-o", path.string(), "--count", "2"});
    EXPECT_EQ(made.code, 0) << made.text();
    return path;
  }();
  return zip;
}

std::string missing_base() {
  return fs::exists(kBase / "pipeline.json") ? "" : "models/nano is not in the source tree";
}

}  // namespace espalier::e2e
