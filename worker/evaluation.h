#pragma once

#include <filesystem>

#include "common/status.h"
#include "espalier/v1/jobs.pb.h"

namespace espalier::worker {

// The mean scores of an evaluation.json that espalier-evaluate has written. INVALID_ARGUMENT: not such a file.
Result<v1::Evaluation> read_evaluation(const std::filesystem::path& file);

}  // namespace espalier::worker
