#include "infer/extraction.h"

#include <torch/types.h>

#include <cmath>

#include "absl/strings/str_cat.h"
#include "infer/object_files.h"
#include "infer/preview.h"

namespace espalier::infer {

void warn_of_triangles(const OutputOptions& options, size_t sample, GeneratedAssets& assets) {
  const int64_t triangles = assets.samples[sample].triangles;
  if (triangles <= options.triangles()) return;
  assets.warnings.push_back(
      absl::StrCat("sample ", sample, " keeps ", triangles, " triangles: its topology allows no fewer"));
}

void check_extraction(const Latents& latents, const OutputOptions& options, std::vector<Fault>& faults) {
  check_outputs(options, faults);
  if (!latents.texture && !options.geometry_only) check_no_texture(options, "the state has no texture", faults);
  for (size_t i = 0; i < options.formats.size(); ++i) {
    if (options.formats[i] != FileFormat::kOccupancy) continue;
    faults.push_back({absl::StrCat("formats[", i, "]"), "the state does not hold the structure"});
  }
}

Result<GeneratedAssets> extract_files(const Latents& latents, const OutputOptions& options, const Networks& networks,
                                      const StageHooks& hooks) {
  const at::NoGradGuard no_gradients;
  Stopwatch watch;
  GeneratedAssets assets;
  assets.representation = Representation::kDualGrid;
  assets.textured = latents.texture.has_value();
  assets.resolution =
      static_cast<int>(std::lround(static_cast<double>(latents.shape.voxels) / networks.base().grid_scale()));
  ESP_ASSIGN(const auto shapes, decode(latents, networks, hooks));
  watch.lap("decode");
  GeneratedSample& sample = assets.samples.emplace_back();
  sample.shape_tokens = latents.shape.cells.rows();
  ESP_ASSIGN(mesh::Scene shown, make_files(&shapes.front(), 0, options, hooks, sample));
  warn_of_triangles(options, 0, assets);
  if (hooks.progress) hooks.progress("mesh", 1, 1);
  watch.lap("mesh");
  ESP_TRY(add_previews({std::move(shown)}, options.preview, hooks, assets));
  if (options.preview) watch.lap("preview");
  assets.seconds = watch.seconds();
  return assets;
}

}  // namespace espalier::infer
