#pragma once

#include <filesystem>

namespace espalier {

// The folder of the espalier programs: that of the one which runs.
std::filesystem::path programs_folder();

// models/nano of the checkout that the programs were built in, or of their installation; empty: there is none.
std::filesystem::path nano_base(const std::filesystem::path& programs);

}  // namespace espalier
