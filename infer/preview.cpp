#include "infer/preview.h"

#include <ATen/Parallel.h>

#include "absl/strings/str_cat.h"
#include "image/codec.h"
#include "render/preview.h"

namespace espalier::infer {
namespace {

Result<std::string> preview_png(mesh::Scene scene, const render::PreviewOptions& options) {
  ESP_ASSIGN(std::vector<image::Image> views, render::render_preview(std::move(scene), options));
  return image::encode_png(render::preview_sheet({{"", std::move(views)}}));
}

}  // namespace

Status add_previews(std::vector<mesh::Scene> scenes, const std::optional<PreviewSettings>& settings,
                    const StageHooks& hooks, GeneratedAssets& assets) {
  if (!settings) return absl::OkStatus();
  render::PreviewOptions options;
  options.size = settings->size;
  options.views = settings->views;
  options.threads = at::get_num_threads();
  options.stop = hooks.stop;
  const int all = options.views * static_cast<int>(scenes.size());
  for (size_t i = 0; i < scenes.size(); ++i) {
    const int before = options.views * static_cast<int>(i);
    options.progress = [&](int done) {
      if (hooks.progress) hooks.progress("preview", before + done, all);
    };
    auto png = preview_png(std::move(scenes[i]), options);
    if (png.ok()) {
      assets.samples[i].files.push_back({FileFormat::kPreview, *std::move(png)});
    } else if (absl::IsCancelled(png.status())) {
      return png.status();
    } else {
      assets.warnings.push_back(absl::StrCat("sample ", i, " has no preview: ", std::string(png.status().message())));
    }
  }
  return absl::OkStatus();
}

}  // namespace espalier::infer
