#include "render/preview.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "absl/strings/str_cat.h"
#include "image/flatten.h"
#include "image/text.h"
#include "mesh/normalize.h"

namespace espalier::render {
namespace {

constexpr double kDegree = std::numbers::pi / 180;
constexpr double kPitch = 20 * kDegree, kFieldOfView = 36 * kDegree;
constexpr double kFirstYaw = -60 * kDegree;  // -90 is the front of glTF files
constexpr double kRoom = 1.03;               // around the object
constexpr uint8_t kGround = 235, kInk = 40;
constexpr int kBorder = 8;

Status check(int value, int low, int high, const char* name) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(name, " ", value, " must be ", low, "..", high));
}

// Of the sphere around the origin that holds the scene.
double radius_of(const mesh::Scene& scene) {
  double largest = 0;
  for (const mesh::Mesh& mesh : scene.meshes) {
    for (const mesh::Vec3& p : mesh.positions) largest = std::max(largest, std::hypot(double{p[0]}, p[1], p[2]));
  }
  return largest;
}

// To the left of the camera and above it.
Lighting lighting_of(const Camera& camera) {
  constexpr double kDistance = 6, kStrength = 30;  // W for each square unit of distance
  const double yaw = camera.yaw - 35 * kDegree, pitch = 45 * kDegree;
  PointLight light;
  light.position = {static_cast<float>(kDistance * std::cos(yaw) * std::cos(pitch)),
                    static_cast<float>(kDistance * std::sin(yaw) * std::cos(pitch)),
                    static_cast<float>(kDistance * std::sin(pitch))};
  light.radius = 1.5f;
  light.power = static_cast<float>(kStrength * kDistance * kDistance);
  return {{light}, 0.7f};
}

void paste(const image::Image& from, int x, int y, image::Image& to) {
  for (int row = 0; row < from.height; ++row) std::copy_n(from.at(0, row), from.width * 3, to.at(x, y + row));
}

}  // namespace

Result<std::vector<image::Image>> render_preview(mesh::Scene scene, const PreviewOptions& options) {
  ESP_TRY(check(options.views, 1, 360, "views"));
  ESP_TRY(check(options.size, 16, 2048, "size"));
  ESP_TRY(check(options.samples, 1, 4096, "samples"));
  ESP_TRY(mesh::validate(scene));
  ESP_TRY(mesh::normalize(scene).status());
  ESP_ASSIGN(const SceneTracer tracer, SceneTracer::make(scene));
  const double distance = kRoom * radius_of(scene) / std::sin(kFieldOfView / 2);
  std::vector<image::Image> out;
  for (int view = 0; view < options.views; ++view) {
    if (options.stop.stop_requested()) return absl::CancelledError("stopped");
    const Camera camera{kFirstYaw + 2 * std::numbers::pi * view / options.views, kPitch, distance, kFieldOfView};
    const ViewOptions how{options.size, options.samples, static_cast<uint64_t>(view), options.threads, false};
    ESP_ASSIGN(const image::Image rgba, tracer.render(camera, lighting_of(camera), how));
    out.push_back(image::flattened(rgba, kGround));
    if (options.progress) options.progress(view + 1);
  }
  return out;
}

image::Image preview_sheet(const std::vector<PreviewRow>& rows) {
  if (rows.empty() || rows[0].views.empty()) return {};
  const int size = rows[0].views[0].width, scale = std::max(1, size / 256);
  size_t most = 0;
  for (const PreviewRow& row : rows) most = std::max(most, row.views.size());
  const bool side_by_side = most == 1;
  const bool captions = std::any_of(rows.begin(), rows.end(), [](const auto& row) { return !row.caption.empty(); });
  const int head = captions ? image::text_height(scale) + kBorder : 0, count = static_cast<int>(rows.size());
  const int width = side_by_side ? count * size : static_cast<int>(most) * size;
  const int height = (side_by_side ? 1 : count) * (size + head);
  image::Image out{width, height, 3, std::vector<uint8_t>(size_t{3} * width * height, kGround)};
  for (int i = 0; i < count; ++i) {
    const int left = side_by_side ? i * size : 0, top = side_by_side ? 0 : i * (size + head);
    const int room = (side_by_side ? size : width) - 2 * kBorder;
    const auto& row = rows[static_cast<size_t>(i)];
    image::draw_text(out, left + kBorder, top + kBorder, image::shortened(row.caption, scale, room), scale,
                     {kInk, kInk, kInk});
    for (size_t v = 0; v < row.views.size(); ++v)
      paste(row.views[v], left + static_cast<int>(v) * size, top + head, out);
  }
  return out;
}

}  // namespace espalier::render
