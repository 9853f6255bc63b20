#include "infer/adapters.h"

#include <torch/types.h>

#include "absl/strings/str_cat.h"
#include "infer/plan.h"
#include "nn/lora/adapter_file.h"

namespace espalier::infer {
namespace {

constexpr const char* kStructure = "sparse_structure";
constexpr const char* kGeometry = "geometry";
constexpr const char* kTexture = "texture";

// Where an adapter goes: one run of one network. The file says which denoiser and which resolution it was trained for;
// of a cascade, which runs two networks for the shape, the caller says which pass. An adapter that does not fit is
// refused, never passed over: its absence would look like a bad adapter.
struct Place {
  std::vector<LoadedAdapter> RequestAdapters::*list;
  std::string denoiser;
  int tier = 0;  // 0: the structure's network

  std::string network() const {
    if (denoiser == kStructure) return "sparse_structure_flow_model";
    return denoiser == kGeometry ? shape_flow_key(tier) : texture_flow_key(tier);
  }
};

Status only_geometry(const char* denoiser) {
  return absl::InvalidArgumentError(
      absl::StrCat("low_resolution is for geometry adapters; this one is for ", denoiser));
}

Result<Place> structure_place(const AdapterUse& use) {
  if (!use.low_resolution) return Place{&RequestAdapters::structure, kStructure, 0};
  return only_geometry(kStructure);
}

Result<Place> geometry_place(const AdapterUse& use, const nn::AdapterInfo& info, const Pipeline& pipeline) {
  if (use.low_resolution && !pipeline.is_cascade()) {
    return absl::InvalidArgumentError(
        absl::StrCat("low_resolution is for cascades; pipeline ", std::string(pipeline.name), " has one pass"));
  }
  const int tier = use.low_resolution ? pipeline.first_tier : pipeline.tier;
  if (info.resolution != 0 && info.resolution != tier) {
    const bool fits_first = info.resolution == pipeline.first_tier;
    return absl::InvalidArgumentError(absl::StrCat(
        "the adapter was trained at ", info.resolution, ", but the ", use.low_resolution ? "first" : "last",
        " pass of pipeline ", std::string(pipeline.name), " runs the network of ", tier,
        fits_first && !use.low_resolution ? "; mark it low_resolution for the first pass" : ""));
  }
  return Place{use.low_resolution ? &RequestAdapters::shape_low : &RequestAdapters::shape, kGeometry, tier};
}

Result<Place> texture_place(const AdapterUse& use, const nn::AdapterInfo& info, int tier) {
  if (use.low_resolution) return only_geometry(kTexture);
  if (info.resolution != 0 && info.resolution != tier) {
    return absl::InvalidArgumentError(absl::StrCat("the adapter was trained at ", info.resolution,
                                                   ", but this request's texture comes from the network of ", tier));
  }
  return Place{&RequestAdapters::texture, kTexture, tier};
}

Result<Place> place_of(const AdapterUse& use, const nn::AdapterInfo& info, const Pipeline* pipeline, bool textured) {
  if (info.denoiser == kStructure) return structure_place(use);
  if (info.denoiser == kTexture && textured) return texture_place(use, info, pipeline->tier);
  if (info.denoiser == kTexture) {
    return absl::InvalidArgumentError("the adapter is for texture, but this request generates none");
  }
  if (info.denoiser == kGeometry && pipeline != nullptr) return geometry_place(use, info, *pipeline);
  if (info.denoiser == kGeometry) {
    return absl::InvalidArgumentError("the adapter is for geometry, but this request ends with the sparse structure");
  }
  if (!info.denoiser.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("the adapter is for ", info.denoiser, ", which is not run here"));
  }
  // A file of another tool: clear only where one network can be meant.
  if (pipeline == nullptr) return structure_place(use);
  if (use.low_resolution) return geometry_place(use, info, *pipeline);
  return absl::InvalidArgumentError(
      "the file does not say which denoiser it is for; its header must have espalier.denoiser");
}

Result<nn::AdapterFile> read_for(const AdapterUse& use, const Place& place, const nn::AdapterSlot& slot,
                                 Networks& networks) {
  const auto read = [&](const auto& network) -> Result<nn::AdapterFile> {
    ESP_TRY(network.status());
    return nn::read_adapter(use.file, (*network)->lora_targets(), slot);
  };
  if (place.denoiser == kStructure) return read(networks.structure_flow.shapes());
  return read(place.denoiser == kGeometry ? networks.shape_flow(place.tier).shapes()
                                          : networks.texture_flow(place.tier).shapes());
}

Result<LoadedAdapter> read_one(const AdapterUse& use, const Place& place, const nn::AdapterInfo& info,
                               Networks& networks) {
  nn::AdapterSlot slot{place.denoiser, place.tier, ""};
  if (!info.base_sha256.empty()) {
    ESP_ASSIGN(slot.base_sha256, networks.digest(place.network()));
  }
  ESP_ASSIGN(nn::AdapterFile file, read_for(use, place, slot, networks));
  for (auto& [module, pair] : file.adapter.modules) {
    pair.a = pair.a.to(networks.device());
    pair.b = pair.b.to(networks.device());
  }
  return LoadedAdapter{std::move(file.adapter), use.scale};
}

Result<LoadedAdapter> read_texture_adapter(const AdapterUse& use, int tier, Networks& networks) {
  ESP_ASSIGN(const nn::AdapterInfo info, nn::read_adapter_info(use.file));
  if (!info.denoiser.empty() && info.denoiser != kTexture) {
    return absl::InvalidArgumentError(
        absl::StrCat("the adapter is for ", info.denoiser, "; on a given mesh only texture adapters act"));
  }
  ESP_ASSIGN(const Place place, texture_place(use, info, tier));
  return read_one(use, place, info, networks);
}

Status add_adapter(const AdapterUse& use, const Pipeline* pipeline, bool textured, Networks& networks,
                   RequestAdapters& out) {
  ESP_ASSIGN(const nn::AdapterInfo info, nn::read_adapter_info(use.file));
  ESP_ASSIGN(const Place place, place_of(use, info, pipeline, textured));
  ESP_ASSIGN(LoadedAdapter adapter, read_one(use, place, info, networks));
  (out.*place.list).push_back(std::move(adapter));
  return absl::OkStatus();
}

}  // namespace

RequestAdapters read_adapters(const GenerateRequest& request, const Pipeline* pipeline, Networks& networks,
                              std::vector<Fault>& faults) {
  const bool textured = pipeline != nullptr && wants_texture(request, *pipeline, networks);
  RequestAdapters out;
  for (size_t i = 0; i < std::min(request.adapters.size(), kMaxAdapters); ++i) {
    if (request.adapters[i].file.empty() && !faults.empty()) continue;
    const Status status = add_adapter(request.adapters[i], pipeline, textured, networks, out);
    if (!status.ok()) faults.push_back({absl::StrCat("adapters[", i, "]"), std::string(status.message())});
  }
  return out;
}

std::vector<LoadedAdapter> read_texture_adapters(const std::vector<AdapterUse>& uses, int tier, Networks& networks,
                                                 std::vector<Fault>& faults) {
  std::vector<LoadedAdapter> out;
  for (size_t i = 0; i < std::min(uses.size(), kMaxAdapters); ++i) {
    if (uses[i].file.empty() && !faults.empty()) continue;
    auto adapter = read_texture_adapter(uses[i], tier, networks);
    if (adapter.ok()) {
      out.push_back(*std::move(adapter));
    } else {
      faults.push_back({absl::StrCat("adapters[", i, "]"), std::string(adapter.status().message())});
    }
  }
  return out;
}

Result<std::vector<nn::AdapterScope>> attach(const std::vector<LoadedAdapter>& adapters,
                                             const nn::LoraTargets& targets) {
  std::vector<nn::AdapterScope> attached;
  for (const LoadedAdapter& adapter : adapters) {
    if (adapter.scale == 0) continue;
    ESP_ASSIGN(attached.emplace_back(), nn::AdapterScope::attach(adapter.weights, targets, adapter.scale));
  }
  return attached;
}

}  // namespace espalier::infer
