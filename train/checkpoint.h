#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/status.h"
#include "nn/parameters.h"

// The state of a run on disk: one safetensors file per checkpoint, step_0000300.ckpt, replaced in one step and carrying
// a hash of its content (docs/formats/checkpoint.md).
namespace espalier::train {

struct Checkpoint {
  int64_t step = 0;         // updates of the schedule done
  std::string fingerprint;  // of the run it belongs to
  nlohmann::json state;     // small numbers: optimizer updates, clipper, first validation
  nn::TensorMap tensors;
};

// Writes step_<step>.ckpt into the folder (made when missing) and removes all but the newest `keep`.
Result<std::filesystem::path> save_checkpoint(const std::filesystem::path& folder, const Checkpoint& checkpoint,
                                              int keep);

// The newest checkpoint that is whole; a broken one is reported through `warn` and the next older one is tried.
// nullopt: there is none. FAILED_PRECONDITION: it belongs to another run (another fingerprint).
Result<std::optional<Checkpoint>> load_newest_checkpoint(const std::filesystem::path& folder,
                                                         const std::string& fingerprint,
                                                         const std::function<void(const std::string&)>& warn);

}  // namespace espalier::train
