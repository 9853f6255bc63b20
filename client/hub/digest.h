#pragma once

#include <filesystem>
#include <string>

#include "client/hub/hub.h"
#include "common/status.h"

namespace espalier::client {

// The sha256 of the file when it has the size and the content that the hub lists; DATA_LOSS says what differs.
Result<std::string> check_content(const std::filesystem::path& path, const HubFile& expected);

}  // namespace espalier::client
