#pragma once

#include <filesystem>
#include <vector>

#include "client/doctor/row.h"
#include "common/status.h"

namespace espalier::client {

// Whether the content of a base is that of the digests in its espalier.json. Reads all of it.
DoctorRow base_row(const std::filesystem::path& base);

// Whether nobody but their owner may read the key files: those of the folder of a coordinator's keys, and `others`.
// What does not exist is passed over.
DoctorRow keys_row(const std::filesystem::path& key_folder, const std::vector<std::filesystem::path>& others);

// `found`: of find_blender().
DoctorRow blender_row(const Result<std::filesystem::path>& found);

}  // namespace espalier::client
