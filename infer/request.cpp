#include "infer/request.h"

#include <algorithm>
#include <map>
#include <random>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace espalier::infer {
namespace {

constexpr uint64_t kMaxSeed = (uint64_t{1} << 31) - 1;
constexpr double kMaxAdapterScale = 2;

// Takes `value` when it is given; a fault when it is outside [low, high] or not a number.
template <class T>
void take(const std::optional<T>& value, T low, T high, const std::string& field, T& into, std::vector<Fault>& faults) {
  if (!value) return;
  into = *value;
  if (*value >= low && *value <= high) return;
  faults.push_back({field, absl::StrCat(*value, " is not in ", low, "..", high)});
}

void check_formats(const std::vector<FileFormat>& formats, std::vector<Fault>& faults) {
  if (formats.empty()) faults.push_back({"formats", "no file is asked for"});
  for (size_t i = 0; i < formats.size(); ++i) {
    if (std::find(formats.begin(), formats.begin() + static_cast<ptrdiff_t>(i), formats[i]) ==
        formats.begin() + static_cast<ptrdiff_t>(i)) {
      continue;
    }
    faults.push_back({absl::StrCat("formats[", i, "]"), "is asked for twice"});
  }
}

}  // namespace

Status to_status(const std::vector<Fault>& faults) {
  if (faults.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(faults, "; ", [](std::string* out, const Fault& fault) {
    absl::StrAppend(out, fault.field, ": ", fault.message);
  }));
}

SamplerParams apply(const SamplerOverrides& overrides, SamplerParams params, const std::string& prefix,
                    std::vector<Fault>& faults) {
  take(overrides.steps, 1, 50, prefix + ".steps", params.steps, faults);
  take(overrides.guidance_strength, 0.0, 15.0, prefix + ".guidance_strength", params.guidance_strength, faults);
  take(overrides.guidance_rescale, 0.0, 1.0, prefix + ".guidance_rescale", params.guidance_rescale, faults);
  take(overrides.interval_start, 0.0, 1.0, prefix + ".guidance_interval_start", params.interval_start, faults);
  take(overrides.interval_end, 0.0, 1.0, prefix + ".guidance_interval_end", params.interval_end, faults);
  take(overrides.rescale_t, 1.0, 6.0, prefix + ".rescale_t", params.rescale_t, faults);
  const bool interval_given = overrides.interval_start || overrides.interval_end;
  if (interval_given && params.interval_start > params.interval_end) {
    faults.push_back({prefix + ".guidance_interval_start",
                      absl::StrCat(params.interval_start, " is above the end, ", params.interval_end)});
  }
  return params;
}

void check_ranges(const GenerateRequest& request, std::vector<Fault>& faults) {
  const auto within = [&](const char* field, auto value, decltype(value) low, decltype(value) high) {
    if (!(value >= low && value <= high))
      faults.push_back({field, absl::StrCat(value, " is not in ", low, "..", high)});
  };
  if (request.seed) within("seed", *request.seed, 0, kMaxSeed);
  within("samples", request.samples, 1, kMaxSamples);
  within("max_num_tokens", request.max_num_tokens, 16, 1 << 20);
  within("mesh.decimation_target", request.decimation_target, 1000, 1 << 24);
  within("mesh.remesh_band", request.remesh_band, 0.5, 4);
  within("mesh.remesh_project", request.remesh_project, 0, 1);
  if (request.adapters.size() > kMaxAdapters) {
    faults.push_back({"adapters", absl::StrCat(request.adapters.size(), " adapters; at most ", kMaxAdapters)});
  }
  for (size_t i = 0; i < request.adapters.size(); ++i) {
    const double scale = request.adapters[i].scale;
    if (scale >= 0 && scale <= kMaxAdapterScale) continue;
    faults.push_back(
        {absl::StrCat("adapters[", i, "].scale"), absl::StrCat(scale, " is not in 0..", kMaxAdapterScale)});
  }
  check_formats(request.formats, faults);
}

std::optional<FileFormat> format_of(const std::filesystem::path& file) {
  static const std::map<std::string, FileFormat> kFormats = {{".glb", FileFormat::kGlb}, {".obj", FileFormat::kObj},
                                                             {".ply", FileFormat::kPly}, {".stl", FileFormat::kStl},
                                                             {".vxz", FileFormat::kVxz}, {".npz", FileFormat::kNpz}};
  const auto found = kFormats.find(absl::AsciiStrToLower(file.extension().string()));
  return found == kFormats.end() ? std::nullopt : std::optional(found->second);
}

uint64_t random_seed() {
  std::random_device device;
  return device() & kMaxSeed;
}

}  // namespace espalier::infer
