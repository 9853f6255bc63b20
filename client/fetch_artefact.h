#pragma once

#include <filesystem>
#include <string>

#include "client/command.h"

namespace espalier::client {

// Downloads a stored file with its progress on stderr and prints where it is, or its Artefact as JSON. What arrived
// before a failure stays beside it and is not asked for again.
Status fetch_artefact(const Command& command, const std::string& artefact_id, const std::filesystem::path& destination);

}  // namespace espalier::client
