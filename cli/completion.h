#pragma once

#include <string>

#include "cli/description.h"
#include "common/status.h"

namespace espalier::cli {

// A completion script made of the program's verbs and options, for `shell`: bash, zsh or fish. It completes verbs,
// options, the allowed values of options, files and folders. INVALID_ARGUMENT: another shell.
Result<std::string> completion_script(const CommandDescription& program, const std::string& shell);

}  // namespace espalier::cli
