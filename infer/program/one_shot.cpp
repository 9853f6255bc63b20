#include "infer/program/one_shot.h"

#include <cstring>
#include <iostream>
#include <map>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/files.h"
#include "dataset/npz.h"

namespace espalier::infer {
namespace {

constexpr uint64_t kMaxImageBytes = uint64_t{20} << 20;

// Field paths of a request in the words of the command line.
std::string option_of(const std::string& field, const OneShotOptions& options) {
  static const std::map<std::string, std::string> kNames = {{"sparse_structure.steps", "--steps"},
                                                            {"sparse_structure.guidance_strength", "--guidance"},
                                                            {"sparse_structure.guidance_rescale", "--guidance-rescale"},
                                                            {"sparse_structure.rescale_t", "--rescale-t"},
                                                            {"seed", "--seed"},
                                                            {"resolution", "--resolution"},
                                                            {"samples", "--samples"},
                                                            {"adapters", "--adapter"}};
  if (field == "image") return absl::StrCat("--image ", options.image.string());
  size_t index = 0;
  if (std::sscanf(field.c_str(), "adapters[%zu]", &index) == 1 && index < options.adapters.size()) {
    return absl::StrCat("--adapter ", options.adapters[index]);
  }
  const auto name = kNames.find(field);
  return name == kNames.end() ? field : name->second;
}

Status explain(const std::vector<Fault>& faults, const OneShotOptions& options) {
  std::vector<Fault> named;
  for (const Fault& fault : faults) named.push_back({option_of(fault.field, options), fault.message});
  return to_status(named);
}

Result<std::string> occupancy_npz(const std::vector<std::array<int32_t, 3>>& voxels) {
  dataset::Array coords;
  coords.dtype = "<i4";
  coords.shape = {static_cast<int64_t>(voxels.size()), 3};
  coords.bytes.resize(voxels.size() * sizeof(voxels[0]));
  std::memcpy(coords.bytes.data(), voxels.data(), coords.bytes.size());
  return dataset::write_npz({{"coords", coords}});
}

Status write_results(const GeneratedAssets& assets, const OneShotOptions& options) {
  const int count = static_cast<int>(assets.samples.size());
  for (int i = 0; i < count; ++i) {
    const GeneratedSample& sample = assets.samples[i];
    const auto output = numbered(options.output, i, count);
    ESP_TRY(write_file_atomic(output, sample.glb));
    std::cout << output.string() << ": " << sample.voxels.size() << " voxels at " << assets.structure_resolution
              << " per side\n";
    if (options.occupancy.empty()) continue;
    ESP_ASSIGN(const std::string npz, occupancy_npz(sample.voxels));
    ESP_TRY(write_file_atomic(numbered(options.occupancy, i, count), npz));
  }
  std::cout << "seed " << assets.seed;
  for (const auto& [stage, seconds] : assets.seconds) std::cout << ", " << stage << " " << seconds << " s";
  std::cout << "\n";
  return absl::OkStatus();
}

image::BackgroundRemoval background_of(const std::string& name) {
  if (name == "model") return image::BackgroundRemoval::kModel;
  if (name == "keyer") return image::BackgroundRemoval::kKeyer;
  return name == "none" ? image::BackgroundRemoval::kNone : image::BackgroundRemoval::kAuto;
}

}  // namespace

AdapterUse parse_adapter(const std::string& text) {
  const size_t colon = text.rfind(':');
  double scale = 1;
  std::error_code ignored;
  if (colon != std::string::npos && !std::filesystem::exists(text, ignored) &&
      absl::SimpleAtod(text.substr(colon + 1), &scale)) {
    return {text.substr(0, colon), scale};
  }
  return {text, 1};
}

std::filesystem::path numbered(const std::filesystem::path& path, int index, int count) {
  if (count == 1) return path;
  auto name = path.stem();
  name += absl::StrCat("_", index);
  name += path.extension();
  return path.parent_path() / name;
}

Status run_one_shot(OneShotOptions options) {
  auto image = read_file(options.image, kMaxImageBytes);
  ESP_TRY(annotate(image.status(), "--image"));
  options.request.image = *std::move(image);
  options.request.background = background_of(options.background);
  for (const std::string& text : options.adapters) options.request.adapters.push_back(parse_adapter(text));
  ESP_ASSIGN(const auto engine, Engine::open(options.engine));
  std::vector<Fault> faults;
  const auto assets = engine->generate(options.request, {}, &faults);
  if (!faults.empty()) return explain(faults, options);
  ESP_TRY(assets.status());
  return write_results(*assets, options);
}

}  // namespace espalier::infer
