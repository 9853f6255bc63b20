#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "preprocess/discovery.h"

namespace espalier::preprocess {

// Applies a user's manifest.csv to the assets. Columns: `path` (required, relative to the manifest's folder `prefix`),
// and optional `exclude` (0 or 1), `split` (train, val), `repeat` (1..1000), `up_axis` (x, -x, y, -y, z, -z),
// `aesthetic_score`, `name`; further columns are kept as they are. Assets that are not named keep their defaults.
// INVALID_ARGUMENT lists up to 20 faults, one per line.
Status apply_manifest(std::string_view csv, std::string_view prefix, std::vector<Asset>& assets);

}  // namespace espalier::preprocess
