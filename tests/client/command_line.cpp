#include "tests/client/command_line.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/app.h"

namespace espalier::client {

nlohmann::json Output::json() const { return nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false); }

Output run_client(Command& command, const std::vector<void (*)(cli::App&, Command&)>& add,
                  const std::vector<std::string>& arguments) {
  cli::App app("espalier", "");
  for (const auto add_verbs : add) add_verbs(app, command);
  if (Status status = app.parse(arguments); !status.ok()) return {std::move(status), ""};
  ::testing::internal::CaptureStdout();
  Status status = command.run();
  return {std::move(status), ::testing::internal::GetCapturedStdout()};
}

}  // namespace espalier::client
