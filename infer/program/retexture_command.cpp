#include "infer/program/retexture_command.h"

#include <iostream>

#include "absl/strings/str_cat.h"
#include "common/files.h"
#include "infer/program/mesh_import.h"
#include "infer/program/one_shot.h"
#include "infer/program/output_options.h"

namespace espalier::infer {
namespace {

std::string option_of(const std::string& field, const RetextureOptions& options) {
  if (field == "image") return absl::StrCat("--image ", options.image.string());
  if (field == "mesh_file") return absl::StrCat("--mesh ", options.mesh.string());
  if (field == "keep_uvs") return "--keep-uvs";
  if (field == "seed" || field == "resolution") return absl::StrCat("--", field);
  if (field.starts_with("adapters")) return "--adapter";
  const auto name = shared_option_names().find(field);
  return name == shared_option_names().end() ? field : name->second;
}

void print_result(const GeneratedAssets& assets, const RetextureOptions& options) {
  const GeneratedSample& sample = assets.samples.front();
  std::cout << options.output.string() << ": " << sample.triangles << " triangles, textured from "
            << sample.shape_voxels << " voxels at " << assets.resolution << " (" << sample.shape_tokens
            << " tokens)\nseed " << assets.seed;
  for (const auto& [stage, seconds] : assets.seconds) std::cout << ", " << stage << " " << seconds << " s";
  std::cout << "\n";
  for (const std::string& warning : assets.warnings) std::cerr << "espalier-infer: note: " << warning << "\n";
}

}  // namespace

Status run_retexture_command(RetextureOptions options) {
  if (format_of(options.output) != FileFormat::kGlb) {
    return absl::InvalidArgumentError(absl::StrCat("--output ", options.output.string(), ": must end in .glb"));
  }
  RetextureRequest& request = options.request;
  auto image = read_image(options.image);
  ESP_TRY(image.status());
  request.image = *std::move(image);
  request.background = background_of(options.background);
  request.preview = options.preview.wanted();
  for (const std::string& text : options.adapters) request.adapters.push_back(parse_adapter(text));
  const auto file = std::filesystem::absolute(options.mesh);
  auto scene = confined_import({})(file.parent_path(), file.filename().string(), {});
  ESP_TRY(annotate(scene.status(), "--mesh"));
  request.mesh = *std::move(scene);
  ESP_ASSIGN(const auto engine, Engine::open(options.engine));
  std::vector<Fault> faults;
  const auto assets = engine->retexture(request, {}, &faults);
  for (Fault& fault : faults) fault.field = option_of(fault.field, options);
  ESP_TRY(to_status(faults));
  ESP_TRY(assets.status());
  const GeneratedSample& sample = assets->samples.front();
  ESP_TRY(write_file_atomic(options.output, sample.file(FileFormat::kGlb)));
  if (const std::string& picture = sample.file(FileFormat::kPreview); !picture.empty()) {
    ESP_TRY(write_file_atomic(options.preview.file, picture));
  }
  print_result(*assets, options);
  return absl::OkStatus();
}

}  // namespace espalier::infer
