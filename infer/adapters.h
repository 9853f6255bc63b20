#pragma once

#include <vector>

#include "common/status.h"
#include "infer/networks.h"
#include "infer/request.h"
#include "nn/lora/adapter.h"

namespace espalier::infer {

struct LoadedAdapter {
  nn::LoraAdapter weights;  // on the networks' device
  double scale = 1;
};

// The adapters of a request by the network run that they act on.
struct RequestAdapters {
  std::vector<LoadedAdapter> structure, shape_low, shape, texture;
};

// Reads each adapter and checks it against the network it is for: a file says itself for which denoiser, tier and base
// it was trained. `pipeline`: null when no shape is generated. An adapter whose file is empty is passed over when
// there are faults already. Faults are appended as "adapters[i]". Thread-safe.
RequestAdapters read_adapters(const GenerateRequest& request, const Pipeline* pipeline, Networks& networks,
                              std::vector<Fault>& faults);

// The same for a request that runs the texture's network of a tier only.
std::vector<LoadedAdapter> read_texture_adapters(const std::vector<AdapterUse>& uses, int tier, Networks& networks,
                                                 std::vector<Fault>& faults);

// Branches of a network for as long as the result lives; those with scale 0 stay away.
Result<std::vector<nn::AdapterScope>> attach(const std::vector<LoadedAdapter>& adapters,
                                             const nn::LoraTargets& targets);

}  // namespace espalier::infer
