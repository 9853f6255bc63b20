#include "cli/completion.h"

#include <iostream>

#include "cli/app.h"
#include "client/command.h"

namespace espalier::client {

void add_completion(cli::App& app, Command& command) {
  auto& verb = app.verb("completion", "Print a shell's completion script, e.g. source <(espalier completion bash)");
  auto shell = std::make_shared<std::string>();
  verb.option("shell", *shell, "The shell").choices({"bash", "zsh", "fish"}).required();
  verb.run([&app, &command, shell] {
    command.needs_coordinator = false;
    command.run = [&app, shell]() -> Status {
      ESP_ASSIGN(const std::string script, cli::completion_script(app.describe(), *shell));
      std::cout << script << std::flush;
      return absl::OkStatus();
    };
  });
}

}  // namespace espalier::client
