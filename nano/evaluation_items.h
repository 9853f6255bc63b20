#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/status.h"
#include "dataset/reader.h"
#include "nano/structured_latents.h"

// What of a prepared dataset a base and its adapters are judged by.
namespace espalier::nano {

inline constexpr int kStructureTier = 512;  // whose condition images the structure is made from

struct Items {
  std::vector<std::string> names;
  at::Tensor occupancy;                // bool [N, S, S, S]
  std::map<int, at::Tensor> pictures;  // by tier [N, 3, W, W] float32, the judged view as inference sees it
  at::Tensor other_views;              // [M, 3, W, W] float32, of kStructureTier
  std::vector<int64_t> other_owner;    // [M]
  int tier = 0;                        // of the shape latents; 0: not every object has one
  std::vector<StructuredLatent> latents;
};

// INVALID_ARGUMENT: an object without the view or without stored occupancy, shape latents of several tiers, fewer than
// one object and two views of it.
Result<Items> load_items(const dataset::PreparedDataset& data, int view, double grid_scale);

}  // namespace espalier::nano
