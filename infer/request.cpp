#include "infer/request.h"

#include <algorithm>
#include <map>
#include <random>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "infer/samplers/limits.h"

namespace espalier::infer {
namespace {

constexpr uint64_t kMaxSeed = (uint64_t{1} << 31) - 1;
constexpr double kMaxAdapterScale = 2;
constexpr int kSmallestTexture = 64, kLargestTexture = 4096;

constexpr Preset kPresets[] = {{"", 500'000, 2048},    {"max", 1'000'000, 4096}, {"web", 100'000, 2048},
                               {"game", 10'000, 1024}, {"mobile", 5'000, 512},   {"lowpoly", 2'000, 512}};

// Takes `value` when it is given; a fault when it is outside the range or not a number.
template <class T>
void take(const std::optional<T>& value, const SamplerLimit& limit, const std::string& prefix, T& into,
          std::vector<Fault>& faults) {
  if (!value) return;
  into = *value;
  if (*value >= limit.low && *value <= limit.high) return;
  faults.push_back(
      {absl::StrCat(prefix, ".", std::string(limit.field)), absl::StrCat(*value, " is not in ", range_text(limit))});
}

void check_formats(const std::vector<FileFormat>& formats, std::vector<Fault>& faults) {
  if (formats.empty()) faults.push_back({"formats", "no file is asked for"});
  for (size_t i = 0; i < formats.size(); ++i) {
    if (formats[i] == FileFormat::kPreview) {
      faults.push_back({absl::StrCat("formats[", i, "]"), "a preview is asked for by its own field, preview"});
    }
    if (std::find(formats.begin(), formats.begin() + static_cast<ptrdiff_t>(i), formats[i]) ==
        formats.begin() + static_cast<ptrdiff_t>(i)) {
      continue;
    }
    faults.push_back({absl::StrCat("formats[", i, "]"), "is asked for twice"});
  }
}

// Fields of a texture in files that are set.
std::vector<const char*> texture_fields(const OutputOptions& options) {
  std::vector<const char*> fields;
  if (options.texture_size) fields.push_back("mesh.texture_size");
  if (options.texture_format) fields.push_back("mesh.texture_format");
  if (options.alpha_mode) fields.push_back("mesh.alpha_mode");
  return fields;
}

template <class T>
void check_within(const char* field, T value, T low, T high, std::vector<Fault>& faults) {
  if (value >= low && value <= high) return;
  faults.push_back({field, absl::StrCat(value, " is not in ", low, "..", high)});
}

}  // namespace

const Preset* find_preset(std::string_view name) {
  const auto* found =
      std::find_if(std::begin(kPresets), std::end(kPresets), [&](const Preset& p) { return p.name == name; });
  return found == std::end(kPresets) ? nullptr : found;
}

int OutputOptions::triangles() const {
  const Preset* known = find_preset(preset);
  return decimation_target.value_or(known == nullptr ? kPresets[0].triangles : known->triangles);
}

int OutputOptions::texels() const {
  const Preset* known = find_preset(preset);
  return texture_size.value_or(known == nullptr ? kPresets[0].texels : known->texels);
}

Status to_status(const std::vector<Fault>& faults) {
  if (faults.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(faults, "; ", [](std::string* out, const Fault& fault) {
    absl::StrAppend(out, fault.field, ": ", fault.message);
  }));
}

SamplerParams apply(const SamplerOverrides& overrides, SamplerParams params, const std::string& prefix,
                    std::vector<Fault>& faults) {
  take(overrides.steps, kStepsLimit, prefix, params.steps, faults);
  take(overrides.guidance_strength, kGuidanceStrengthLimit, prefix, params.guidance_strength, faults);
  take(overrides.guidance_rescale, kGuidanceRescaleLimit, prefix, params.guidance_rescale, faults);
  take(overrides.interval_start, kIntervalStartLimit, prefix, params.interval_start, faults);
  take(overrides.interval_end, kIntervalEndLimit, prefix, params.interval_end, faults);
  take(overrides.rescale_t, kRescaleTLimit, prefix, params.rescale_t, faults);
  const bool interval_given = overrides.interval_start || overrides.interval_end;
  if (interval_given && params.interval_start > params.interval_end) {
    faults.push_back({prefix + ".guidance_interval_start",
                      absl::StrCat(params.interval_start, " is above the end, ", params.interval_end)});
  }
  return params;
}

void check_outputs(const OutputOptions& options, std::vector<Fault>& faults) {
  if (find_preset(options.preset) == nullptr) {
    faults.push_back({"mesh.preset", options.preset + " is not one of max, web, game, mobile, lowpoly"});
  }
  if (options.decimation_target)
    check_within("mesh.decimation_target", *options.decimation_target, 1000, 1 << 24, faults);
  check_within("mesh.remesh_band", options.remesh_band, 0.5, 4.0, faults);
  check_within("mesh.remesh_project", options.remesh_project, 0.0, 1.0, faults);
  if (const int size = options.texels();
      size < kSmallestTexture || size > kLargestTexture || (size & (size - 1)) != 0) {
    faults.push_back({"mesh.texture_size",
                      absl::StrCat(size, " is not a power of two in ", kSmallestTexture, "..", kLargestTexture)});
  }
  if (options.geometry_only) check_no_texture(options, "geometry_only leaves the texture out", faults);
  if (options.preview) {
    check_within("preview.size", options.preview->size, 64, 1024, faults);
    check_within("preview.views", options.preview->views, 1, 8, faults);
  }
  check_formats(options.formats, faults);
}

void check_no_texture(const OutputOptions& options, const std::string& why, std::vector<Fault>& faults) {
  for (const char* field : texture_fields(options)) faults.push_back({field, why});
}

void check_seed(const std::optional<uint64_t>& seed, std::vector<Fault>& faults) {
  if (seed) check_within("seed", *seed, uint64_t{0}, kMaxSeed, faults);
}

void check_adapters(const std::vector<AdapterUse>& adapters, std::vector<Fault>& faults) {
  if (adapters.size() > kMaxAdapters) {
    faults.push_back({"adapters", absl::StrCat(adapters.size(), " adapters; at most ", kMaxAdapters)});
  }
  for (size_t i = 0; i < adapters.size(); ++i) {
    const double scale = adapters[i].scale;
    if (scale >= 0 && scale <= kMaxAdapterScale) continue;
    faults.push_back(
        {absl::StrCat("adapters[", i, "].scale"), absl::StrCat(scale, " is not in 0..", kMaxAdapterScale)});
  }
}

void check_ranges(const GenerateRequest& request, std::vector<Fault>& faults) {
  check_seed(request.seed, faults);
  check_within("samples", request.samples, 1, kMaxSamples, faults);
  check_within("max_num_tokens", request.max_num_tokens, 16, 1 << 20, faults);
  check_adapters(request.adapters, faults);
  check_outputs(request, faults);
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
