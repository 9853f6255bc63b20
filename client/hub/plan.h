#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "client/hub/hub.h"
#include "common/denoiser.h"
#include "common/status.h"

namespace espalier::client {

// Which part of a base is wanted.
struct BaseSelection {
  std::vector<Denoiser> denoisers = {kDenoisers.begin(), kDenoisers.end()};
  std::vector<int> tiers = {512, 1024};  // denoisers of structured latents come one per tier
  std::string image_encoder = {};        // "owner/name"; empty: the one that pipeline.json names
};

// A file of the hub and its place in the base.
struct BaseFile {
  HubRepo repo;  // without its files
  HubFile file;
  std::string place;  // relative to the base folder; a file of another repository lies under owner/name/…
};

struct BasePlan {
  std::vector<BaseFile> files;                // smallest first, so that a refusal comes before the large ones
  std::map<std::string, std::string> models;  // key -> stem, of those that pipeline.json does not name
  std::string image_encoder;                  // folder, relative to the base
};

using ListRepo = std::function<Result<HubRepo>(const std::string& id)>;

// The weights, their configurations and the image encoder that training and generating with the selection take, as
// `pipeline` (the text of the main repository's pipeline.json) names them; a stem that is not in the main repository
// names another one, as in the reference (trellis2/models/__init__.py). Of every denoiser: its network, its decoder
// and the encoders of what it is trained on. NOT_FOUND and INVALID_ARGUMENT name the model and the repository.
Result<BasePlan> plan_base(const HubRepo& main, const std::string& pipeline, const BaseSelection& selection,
                           const ListRepo& list);

}  // namespace espalier::client
