#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/app.h"
#include "client/command.h"
#include "common/installation.h"

namespace espalier::client {
namespace {

namespace fs = std::filesystem;

bool names_base(const std::string& argument) { return argument == "--base" || argument.rfind("--base=", 0) == 0; }

// Becomes espalier-evaluate; returns only when that is not possible.
Status become_evaluate(const Command& command, std::vector<std::string> arguments) {
  const fs::path programs = programs_folder();
  ESP_TRY(check_libtorch(programs));
  arguments.insert(arguments.begin(), (programs / "espalier-evaluate").string());
  if (std::none_of(arguments.begin(), arguments.end(), names_base)) {
    if (const fs::path base = nano_base(programs); !base.empty()) arguments.insert(arguments.end(), {"--base", base});
  }
  if (command.json) arguments.push_back("--json");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  execv(argv[0], argv.data());
  return absl::InternalError(absl::StrCat(arguments[0], ": cannot be started: ", std::strerror(errno)));
}

}  // namespace

void add_evaluate(cli::App& app, Command& command) {
  auto& verb = app.verb("eval",
                        "Judge a base and adapters by the objects of a prepared dataset, on this "
                        "machine; all arguments go to espalier-evaluate");
  verb.keep_unknown(/*all=*/true);
  verb.run([&command, &verb] {
    command.needs_coordinator = false;
    command.run = [&command, arguments = verb.unknown()] { return become_evaluate(command, arguments); };
  });
}

}  // namespace espalier::client
