#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/denoiser.h"
#include "common/status.h"

namespace espalier {

// What the service knows of a base model, whose networks only the task programs read: from its espalier.json and
// pipeline.json.
struct BaseDescription {
  std::string name;
  std::vector<Denoiser> denoisers;  // that espalier-train can train: those whose networks the base names
  std::vector<int> resolutions;     // empty: not told
  std::optional<double> recommended_learning_rate;
};

// NOT_FOUND or INVALID_ARGUMENT name the file that is missing, no JSON object, or without a name.
Result<BaseDescription> describe_base(const std::filesystem::path& folder);

}  // namespace espalier
