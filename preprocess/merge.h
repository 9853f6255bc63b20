#pragma once

#include <filesystem>
#include <stop_token>
#include <vector>

#include "common/status.h"
#include "preprocess/pipeline.h"

namespace espalier::preprocess {

// Joins the parts of all shards of one preparation, in any order, to the dataset that a run without shards would have
// written, byte for byte. `observer.started` tells the number of assets; the objects were told by the shards.
//
// INVALID_ARGUMENT, naming the file: no part, a damaged part, a shard that is missing or given twice, a part of another
// preparation; or no usable asset in all of them. CANCELLED: `stop`.
Result<PreprocessResult> merge_parts(const std::vector<std::filesystem::path>& parts,
                                     const std::filesystem::path& output, std::stop_token stop,
                                     const PreprocessObserver& observer = {});

}  // namespace espalier::preprocess
