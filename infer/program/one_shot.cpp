#include "infer/program/one_shot.h"

#include <cstdio>
#include <iostream>
#include <map>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/files.h"
#include "infer/program/output_options.h"

namespace espalier::infer {
namespace {

constexpr uint64_t kMaxImageBytes = uint64_t{20} << 20;

// "adapters[2]" -> 2 for the name "adapters".
std::optional<size_t> index_in(const std::string& field, const char* name) {
  size_t index = 0;
  const std::string pattern = absl::StrCat(name, "[%zu]");
  if (std::sscanf(field.c_str(), pattern.c_str(), &index) == 1) return index;
  return std::nullopt;
}

// Field paths of a request in the words of the command line.
std::string option_of(const std::string& field, const OneShotOptions& options) {
  static const std::map<std::string, std::string> kNames = {{"sparse_structure.steps", "--steps"},
                                                            {"sparse_structure.guidance_strength", "--guidance"},
                                                            {"sparse_structure.guidance_rescale", "--guidance-rescale"},
                                                            {"sparse_structure.rescale_t", "--rescale-t"},
                                                            {"shape", "--shape-…"},
                                                            {"shape.steps", "--shape-steps"},
                                                            {"shape.guidance_strength", "--shape-guidance"},
                                                            {"shape.guidance_rescale", "--shape-guidance-rescale"},
                                                            {"shape.rescale_t", "--shape-rescale-t"},
                                                            {"seed", "--seed"},
                                                            {"resolution", "--resolution"},
                                                            {"pipeline_type", "--pipeline"},
                                                            {"samples", "--samples"},
                                                            {"max_num_tokens", "--max-num-tokens"},
                                                            {"mesh.decimation_target", "--decimation-target"},
                                                            {"mesh.remesh", "--no-remesh"},
                                                            {"mesh.remesh_band", "--remesh-band"},
                                                            {"mesh.remesh_project", "--remesh-project"},
                                                            {"adapters", "--adapter"}};
  if (field == "image") return absl::StrCat("--image ", options.image.string());
  if (const auto index = index_in(field, "adapters")) {
    const size_t plain = options.adapters.size();
    return *index < plain ? absl::StrCat("--adapter ", options.adapters[*index])
                          : absl::StrCat("--low-resolution-adapter ", options.low_resolution_adapters[*index - plain]);
  }
  if (const auto index = index_in(field, "formats")) {
    return *index < options.outputs.size() ? absl::StrCat("--output ", options.outputs[*index].string())
                                           : "--occupancy";
  }
  for (const auto* names : {&kNames, &shared_option_names()}) {
    if (const auto name = names->find(field); name != names->end()) return name->second;
  }
  return field;
}

Status explain(const std::vector<Fault>& faults, const OneShotOptions& options) {
  std::vector<Fault> named;
  for (const Fault& fault : faults) named.push_back({option_of(fault.field, options), fault.message});
  return to_status(named);
}

// The path of each file of a sample.
std::vector<std::filesystem::path> paths(const OneShotOptions& options) {
  std::vector<std::filesystem::path> out = options.outputs;
  if (!options.occupancy.empty()) out.push_back(options.occupancy);
  if (!options.preview.file.empty()) out.push_back(options.preview.file);
  return out;
}

void print_sample(const GeneratedAssets& assets, const GeneratedSample& sample) {
  std::cout << ": " << sample.triangles << " triangles of ";
  if (assets.representation == Representation::kDualGrid) {
    std::cout << "the dual grid of " << sample.shape_voxels << " voxels at " << assets.resolution << " ("
              << sample.shape_tokens << " tokens)" << (assets.textured ? ", textured" : "") << "\n";
  } else {
    std::cout << "the boundary of " << sample.voxels.size() << " voxels at " << assets.structure_resolution
              << " per side\n";
  }
}

Status write_results(const GeneratedAssets& assets, const OneShotOptions& options) {
  const int count = static_cast<int>(assets.samples.size());
  const auto outputs = paths(options);
  for (int i = 0; i < count; ++i) {
    const GeneratedSample& sample = assets.samples[static_cast<size_t>(i)];
    for (size_t f = 0; f < sample.files.size(); ++f) {
      const auto output = numbered(outputs[f], i, count);
      ESP_TRY(write_file_atomic(output, sample.files[f].bytes));
      std::cout << (f == 0 ? "" : ", ") << output.string();
    }
    print_sample(assets, sample);
  }
  std::cout << "seed " << assets.seed;
  for (const auto& [stage, seconds] : assets.seconds) std::cout << ", " << stage << " " << seconds << " s";
  std::cout << "\n";
  for (const std::string& warning : assets.warnings) std::cerr << "espalier-infer: note: " << warning << "\n";
  return absl::OkStatus();
}

LastStage last_stage_of(const std::string& name) {
  if (name == "sparse_structure") return LastStage::kStructure;
  if (name == "geometry") return LastStage::kShape;
  return name == "texture" ? LastStage::kTexture : LastStage::kAny;
}

Result<std::vector<FileFormat>> formats_of(const OneShotOptions& options) {
  std::vector<FileFormat> formats;
  for (const auto& output : options.outputs) {
    const auto format = format_of(output);
    if (!format) {
      return absl::InvalidArgumentError(
          absl::StrCat("--output ", output.string(), ": must end in .glb, .obj, .ply, .stl, .vxz or .npz"));
    }
    formats.push_back(*format);
  }
  if (!options.occupancy.empty()) formats.push_back(FileFormat::kOccupancy);
  return formats;
}

}  // namespace

image::BackgroundRemoval background_of(const std::string& name) {
  if (name == "model") return image::BackgroundRemoval::kModel;
  if (name == "keyer") return image::BackgroundRemoval::kKeyer;
  return name == "none" ? image::BackgroundRemoval::kNone : image::BackgroundRemoval::kAuto;
}

Result<std::string> read_image(const std::filesystem::path& file) {
  auto image = read_file(file, kMaxImageBytes);
  ESP_TRY(annotate(image.status(), "--image"));
  return image;
}

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
  GenerateRequest& request = options.request;
  ESP_ASSIGN(request.image, read_image(options.image));
  request.background = background_of(options.background);
  request.last_stage = last_stage_of(options.stop_after);
  for (const std::string& text : options.adapters) request.adapters.push_back(parse_adapter(text));
  for (const std::string& text : options.low_resolution_adapters) {
    request.adapters.push_back(parse_adapter(text));
    request.adapters.back().low_resolution = true;
  }
  ESP_ASSIGN(request.formats, formats_of(options));
  request.preview = options.preview.wanted();
  ESP_ASSIGN(const auto engine, Engine::open(options.engine));
  std::vector<Fault> faults;
  const auto assets = engine->generate(request, {}, &faults);
  if (!faults.empty()) return explain(faults, options);
  ESP_TRY(assets.status());
  return write_results(*assets, options);
}

}  // namespace espalier::infer
