#include "tests/golden/golden.h"
#include "tests/render/picture_metrics.h"
#include "tests/render/reference_scene.h"

// Condition views against Blender Cycles: pictures agree within the tolerances each case states.
namespace espalier::golden {
namespace {

constexpr int kDefaultSamples = 128;

void compare_frame(Report& report, const std::string& name, const render::PictureMetrics& m,
                   const nlohmann::json& expect) {
  const auto at_least = [&](const char* key, double got) {
    if (expect.contains(key)) report.expect(name + " " + key + ", got " + std::to_string(got), got >= expect[key]);
  };
  at_least("psnr_min", m.psnr);
  at_least("psnr_fg_min", m.psnr_foreground);
  at_least("ssim_min", m.ssim);
  at_least("alpha_iou_min", m.alpha_iou);
  if (expect.contains("luma_ratio")) {
    const double low = expect["luma_ratio"].at(0), high = expect["luma_ratio"].at(1);
    report.compare(name + " luma_ratio", m.luma_ratio, (low + high) / 2, (high - low) / 2);
  }
  if (expect.contains("alpha_mae_max")) report.compare(name + " alpha_mae", m.alpha_mae, 0, expect["alpha_mae_max"]);
}

}  // namespace

Status run_render_case(const Case& c, Report& report) {
  ESP_ASSIGN(const mesh::Scene model, render::load_reference_model(c.folder, c.description));
  ESP_ASSIGN(const render::SceneTracer tracer, render::SceneTracer::make(model));
  for (const auto& frame : c.description.at("frames")) {
    const std::string name = frame.at("file_path");
    ESP_ASSIGN(const image::Image reference, render::reference_picture(c.folder, frame));
    const nlohmann::json expect = frame.value("expect", nlohmann::json::object());
    render::ViewOptions options;
    options.size = c.description.value("resolution", reference.width);
    options.samples = expect.value("min_spp", kDefaultSamples);
    const render::Camera camera = render::reference_camera(frame);
    const render::Matrix4 matrix = render::camera_to_world(camera), want = frame.at("transform_matrix");
    for (int row = 0; row < 4; ++row)
      for (int column = 0; column < 4; ++column)
        report.compare(name + " transform_matrix", matrix[row][column], want[row][column], 1e-5);
    ESP_ASSIGN(const image::Image picture, tracer.render(camera, render::reference_lighting(frame), options));
    if (reference.width != picture.width || reference.height != picture.height) {
      report.fail(name + ": the reference is " + std::to_string(reference.width) + " pixels wide");
      continue;
    }
    compare_frame(report, name, render::compare_pictures(reference, picture), expect);
  }
  return absl::OkStatus();
}

}  // namespace espalier::golden
