#pragma once

#include <filesystem>
#include <string>

#include "client/doctor/row.h"

namespace espalier::client {

// Whether the programs start (those with LibTorch need it where they were built with it) and are of one build: each
// says with --version what `own`, of version_text(), says.
DoctorRow programs_row(const std::filesystem::path& programs, const std::string& own);

}  // namespace espalier::client
