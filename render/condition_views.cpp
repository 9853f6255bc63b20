#include "render/condition_views.h"

#include <cstdio>

#include "nlohmann/json.hpp"

namespace espalier::render {
namespace {

constexpr int kAttempts = 8;

bool is_empty(const image::Image& image) {
  for (size_t i = 3; i < image.pixels.size(); i += 4)
    if (image.pixels[i]) return false;
  return true;
}

Result<ConditionView> render_one(const SceneTracer& tracer, const ConditionViewOptions& options, uint64_t key,
                                 int view) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const Camera camera = sample_cameras(key, options.views, attempt)[view];
    const Lighting lighting = sample_lighting(key, view, camera, attempt);
    ViewOptions view_options{options.size, options.samples, key + static_cast<uint64_t>(view), options.threads,
                             options.mask_as_blend};
    ESP_ASSIGN(image::Image rgba, tracer.render(camera, lighting, view_options));
    if (!is_empty(rgba)) return ConditionView{std::move(rgba), camera, lighting};
  }
  return absl::FailedPreconditionError("EMPTY_RENDER: view " + std::to_string(view) + " shows nothing in " +
                                       std::to_string(kAttempts) + " tries");
}

}  // namespace

Result<std::vector<ConditionView>> render_condition_views(const mesh::Scene& normalised,
                                                          const ConditionViewOptions& options) {
  if (options.views < 1 || options.views > 1024)
    return absl::InvalidArgumentError("views: " + std::to_string(options.views) + " is outside 1 .. 1024");
  ESP_ASSIGN(const SceneTracer tracer, SceneTracer::make(normalised));
  const uint64_t key = object_key(options.seed, options.sha256);
  std::vector<ConditionView> views;
  for (int view = 0; view < options.views; ++view) {
    ESP_ASSIGN(ConditionView one, render_one(tracer, options, key, view));
    views.push_back(std::move(one));
  }
  return views;
}

std::string transforms_json(const std::vector<ConditionView>& views, const ConditionViewOptions& options, double scale,
                            const Vec3& offset) {
  nlohmann::ordered_json json = {{"aabb", {{-.5, -.5, -.5}, {.5, .5, .5}}}, {"scale", scale}, {"offset", offset}};
  json["renderer"] = {{"name", "espalier"}, {"view_transform", "filmic"}, {"samples", options.samples}};
  json["seed"] = options.seed;
  json["frames"] = nlohmann::ordered_json::array();
  for (size_t i = 0; i < views.size(); ++i) {
    char name[32];
    std::snprintf(name, sizeof name, "%03zu.png", i);
    nlohmann::ordered_json frame = {{"file_path", name},
                                    {"camera_angle_x", views[i].camera.fov},
                                    {"transform_matrix", camera_to_world(views[i].camera)}};
    frame["lights"] = nlohmann::ordered_json::array();
    for (const PointLight& light : views[i].lighting.lights)
      frame["lights"].push_back({{"position", light.position}, {"radius", light.radius}, {"power_w", light.power}});
    frame["environment_radiance"] = views[i].lighting.environment;
    json["frames"].push_back(std::move(frame));
  }
  return json.dump(1);
}

}  // namespace espalier::render
