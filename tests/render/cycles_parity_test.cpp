#include <gtest/gtest.h>

#include <fstream>

#include "tests/render/picture_metrics.h"
#include "tests/render/reference_scene.h"

// Against pictures of Blender Cycles, with a quarter of the samples the stated tolerances allow.
namespace espalier::render {
namespace {

class CyclesParity : public testing::TestWithParam<const char*> {};

TEST_P(CyclesParity, StaysWithinTheStatedTolerances) {
  const auto folder = std::filesystem::path(ESP_SOURCE_DIR) / "tests/goldens" / GetParam();
  const auto description = nlohmann::json::parse(std::ifstream(folder / "scene.json"));
  const auto model = load_reference_model(folder, description);
  ASSERT_TRUE(model.ok()) << model.status();
  const auto tracer = SceneTracer::make(*model);
  ASSERT_TRUE(tracer.ok()) << tracer.status();
  for (const auto& frame : description.at("frames")) {
    const auto reference = reference_picture(folder, frame);
    ASSERT_TRUE(reference.ok()) << reference.status();
    const auto picture =
        tracer->render(reference_camera(frame), reference_lighting(frame), {description.at("resolution"), 32, 1});
    ASSERT_TRUE(picture.ok()) << picture.status();
    const PictureMetrics m = compare_pictures(*reference, *picture);
    const auto& expect = frame.at("expect");
    EXPECT_GE(m.psnr, expect.at("psnr_min").get<double>());
    EXPECT_GE(m.psnr_foreground, expect.at("psnr_fg_min").get<double>());
    EXPECT_GE(m.ssim, expect.at("ssim_min").get<double>());
    EXPECT_GE(m.luma_ratio, expect.at("luma_ratio").at(0).get<double>());
    EXPECT_LE(m.luma_ratio, expect.at("luma_ratio").at(1).get<double>());
    EXPECT_GE(m.alpha_iou, expect.at("alpha_iou_min").get<double>());
    EXPECT_LE(m.alpha_mae, expect.at("alpha_mae_max").get<double>());
  }
}

INSTANTIATE_TEST_SUITE_P(Scenes, CyclesParity,
                         testing::Values("render_checker_props", "render_torus_metal", "render_alpha_leaves"),
                         [](const auto& scene) { return std::string(scene.param); });

}  // namespace
}  // namespace espalier::render
