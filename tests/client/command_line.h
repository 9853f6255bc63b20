#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "client/command.h"
#include "common/status.h"

namespace espalier::client {

// What a run of the client printed.
struct Output {
  Status status;
  std::string text;

  nlohmann::json json() const;  // of `text`; discarded when it is none
};

// `espalier` with these arguments, of the verbs that `add` registers.
Output run_client(Command& command, const std::vector<void (*)(cli::App&, Command&)>& add,
                  const std::vector<std::string>& arguments);

}  // namespace espalier::client
