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

// Of a training that names none: what its base recommends (absent or 0: nothing), within what a training may have;
// else 1e-4.
double default_learning_rate(std::optional<double> recommended);

// NOT_FOUND or INVALID_ARGUMENT name the file that is missing, no JSON object, or without a name.
Result<BaseDescription> describe_base(const std::filesystem::path& folder);

}  // namespace espalier
