#include "client/tool.h"

#include <chrono>

#include "absl/strings/str_cat.h"
#include "process/child.h"
#include "process/environment.h"

namespace espalier::client {
namespace {

constexpr size_t kKeptOutput = size_t{64} << 10;
constexpr std::chrono::seconds kToolGrace{5};

// Of the names that `added` sets, only those values.
std::vector<std::string> tool_environment(const std::vector<std::string>& added) {
  std::vector<std::string_view> replaced = {"ESPALIER_KEY"};
  for (const std::string& entry : added) replaced.push_back(std::string_view(entry).substr(0, entry.find('=')));
  auto environment = process::environment_without(replaced);
  environment.insert(environment.end(), added.begin(), added.end());
  return environment;
}

}  // namespace

Result<ToolExit> run_tool(const std::vector<std::string>& argv, const ToolOptions& options) {
  ToolExit result;
  const process::ChildObserver observer = {.on_event = [](std::string_view) {},
                                           .on_log =
                                               [&](std::string_view line) {
                                                 absl::StrAppend(&result.output, std::string(line), "\n");
                                                 if (result.output.size() > 2 * kKeptOutput)
                                                   result.output.erase(0, result.output.size() - kKeptOutput);
                                                 if (options.on_line) options.on_line(line);
                                               },
                                           .on_tick =
                                               [&] {
                                                 if (options.on_tick) options.on_tick();
                                               }};
  ESP_ASSIGN(const auto exit,
             process::run_child({argv, tool_environment(options.environment)}, observer, options.stop, kToolGrace));
  if (exit.stopped) return absl::CancelledError(absl::StrCat(argv[0], " was stopped"));
  result.code = exit.signal != 0 ? -1 : exit.code;
  return result;
}

}  // namespace espalier::client
