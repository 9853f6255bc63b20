#pragma once

#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

#include "common/status.h"
#include "dataset/layout.h"

namespace espalier::preprocess {

// The user's input as a folder tree on this machine.
struct AssetSource {
  std::filesystem::path root;
  std::vector<std::string> names;  // files below root, sorted by bytes; hidden and empty ones left out
  std::string sha256;              // of the zip or the single file; of the listing (names and hashes) of a folder
  bool single = false;             // one asset: names has only it, root is its folder
};

// Whether the input holds assets or already is a prepared dataset. The whole directory of a zip is checked.
// NOT_FOUND, and the errors of dataset::detect and archive::ZipReader::open.
Result<dataset::Detection> detect_input(const std::filesystem::path& input);

// A zip is unpacked below `scratch`; a folder or file stays where it is. In a folder links are skipped.
// Errors as archive::extract. CANCELLED on `stop`.
Result<AssetSource> open_assets(const std::filesystem::path& input, const std::filesystem::path& scratch,
                                std::stop_token stop);

}  // namespace espalier::preprocess
