#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/status.h"
#include "image/foreground.h"
#include "infer/samplers/params.h"

// What a caller asks for, and the check of everything that needs no network.
namespace espalier::infer {

// One thing wrong with a request.
struct Fault {
  std::string field;    // path in the request, e.g. "sparse_structure.steps" or "adapters[1].scale"
  std::string message;  // what is wrong and what is allowed
};

// INVALID_ARGUMENT listing every fault as "field: message"; OK when there is none.
Status to_status(const std::vector<Fault>& faults);

// What is absent keeps the base model's own value.
struct SamplerOverrides {
  std::optional<int> steps;                 // 1..50
  std::optional<double> guidance_strength;  // 0..15
  std::optional<double> guidance_rescale;   // 0..1
  std::optional<double> interval_start;     // 0..1, not above the end
  std::optional<double> interval_end;       // 0..1
  std::optional<double> rescale_t;          // 1..6
};

struct AdapterUse {
  std::filesystem::path file;  // .safetensors, or a folder in PEFT form
  double scale = 1;            // 0..2; 0 gives exactly the base
};

struct GenerateRequest {
  std::string image;  // encoded: PNG, JPEG or WebP
  image::BackgroundRemoval background = image::BackgroundRemoval::kAuto;
  std::optional<uint64_t> seed;      // 0 .. 2^31-1; absent: drawn
  int resolution = 0;                // 512 or 1024 as the base has; 0: the base's smallest
  int samples = 1;                   // 1..8, different noise from one seed
  std::vector<AdapterUse> adapters;  // at most 8; those of one network add up
  SamplerOverrides sparse_structure;
  // Halve the occupancy grid for resolution 512, to the grid that the later stages start from.
  bool pooled_structure = false;
};

inline constexpr int kMaxSamples = 8;
inline constexpr size_t kMaxAdapters = 8;

// The overrides laid over the base's values. Faults are appended under `prefix`.
SamplerParams apply(const SamplerOverrides& overrides, SamplerParams base, const std::string& prefix,
                    std::vector<Fault>& faults);

// Ranges of every field but the image, the adapters' files and the samplers. `tiers`: what the base has.
void check_ranges(const GenerateRequest& request, const std::vector<int>& tiers, std::vector<Fault>& faults);

// A seed for a request without one: 0 .. 2^31-1.
uint64_t random_seed();

}  // namespace espalier::infer
