#include "evaluate/color_agreement.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>

#include "absl/strings/str_cat.h"
#include "render/bvh.h"

namespace espalier::evaluate {
namespace {

using render::V3;

constexpr double kBestPsnr = 99;
constexpr int kMissing = 128;  // mid-grey

// Rays through the centres of a picture's pixels.
class Rays {
 public:
  Rays(const render::Camera& camera, int size) : matrix_(render::camera_to_world(camera)), size_(size) {
    half_width_ = std::tan(camera.fov / 2);
  }
  V3 origin() const { return column(3); }
  V3 direction(int x, int y) const {
    const auto right = static_cast<float>((2 * (x + 0.5) / size_ - 1) * half_width_);
    const auto up = static_cast<float>((1 - 2 * (y + 0.5) / size_) * half_width_);
    return render::normalize(column(0) * right + column(1) * up - column(2));
  }

 private:
  V3 column(int c) const {
    return {static_cast<float>(matrix_[0][c]), static_cast<float>(matrix_[1][c]), static_cast<float>(matrix_[2][c])};
  }

  render::Matrix4 matrix_;
  int size_;
  double half_width_;
};

void store(const ColoredSurface& object, const render::Hit& hit, uint8_t* pixel) {
  const mesh::Triangle& t = object.surface.triangles[hit.triangle];
  for (size_t i = 0; i < 3; ++i) {
    const float value =
        object.colors[t[0]][i] * (1 - hit.u - hit.v) + object.colors[t[1]][i] * hit.u + object.colors[t[2]][i] * hit.v;
    pixel[i] = static_cast<uint8_t>(std::clamp(value, 0.0f, 1.0f) * 255 + 0.5f);
  }
  pixel[3] = 255;
}

// Makes pictures of one object, which outlives it.
class ColorViewer {
 public:
  static Result<ColorViewer> make(const ColoredSurface& object) {
    ESP_TRY(mesh::validate(object.surface));
    if (object.colors.size() != object.surface.positions.size()) {
      return absl::InvalidArgumentError("colors: must be one per vertex");
    }
    ColorViewer viewer(object);
    if (object.surface.triangles.empty()) return viewer;
    std::vector<V3> positions;
    for (const mesh::Vec3& p : object.surface.positions) positions.push_back(V3(p));
    ESP_ASSIGN(viewer.bvh_, render::Bvh::make(positions, object.surface.triangles));
    return viewer;
  }

  image::Image view(const render::Camera& camera, int size) const {
    image::Image picture{size, size, 4, std::vector<uint8_t>(static_cast<size_t>(size) * size * 4)};
    if (!bvh_) return picture;
    const Rays rays(camera, size);
    const V3 origin = rays.origin();
    for (int y = 0; y < size; ++y) {
      for (int x = 0; x < size; ++x) {
        render::Hit hit{};
        if (bvh_->intersect(origin, rays.direction(x, y), 1e30f, hit)) store(*object_, hit, picture.at(x, y));
      }
    }
    return picture;
  }

 private:
  explicit ColorViewer(const ColoredSurface& object) : object_(&object) {}

  const ColoredSurface* object_;
  std::optional<render::Bvh> bvh_;  // none without triangles
};

// Squared differences of pixels' channels.
struct Errors {
  double sum = 0;
  int64_t count = 0;

  void add(const uint8_t* got, const uint8_t* want) {
    for (int c = 0; c < 3; ++c) {
      const double d = (got[3] != 0 ? got[c] : kMissing) - (want[3] != 0 ? want[c] : kMissing);
      sum += d * d;
    }
    count += 3;
  }
  double psnr() const {
    if (count == 0) return 0;
    return sum == 0 ? kBestPsnr
                    : std::min(kBestPsnr, 10 * std::log10(255.0 * 255.0 * static_cast<double>(count) / sum));
  }
};

}  // namespace

std::vector<render::Camera> color_cameras() {
  std::vector<render::Camera> cameras;
  for (int i = 0; i < 4; ++i) {
    render::Camera camera;
    camera.yaw = (45 + 90 * i) * std::numbers::pi / 180;
    camera.pitch = 20 * std::numbers::pi / 180;
    camera.radius = 2;
    camera.fov = 48 * std::numbers::pi / 180;
    cameras.push_back(camera);
  }
  return cameras;
}

Result<image::Image> color_view(const ColoredSurface& object, const render::Camera& camera, int size) {
  if (size < 1 || size > 4096) return absl::InvalidArgumentError(absl::StrCat("size: ", size, " is outside 1 .. 4096"));
  ESP_ASSIGN(const ColorViewer viewer, ColorViewer::make(object));
  return viewer.view(camera, size);
}

Result<ColorAgreement> color_agreement(const ColoredSurface& got, const ColoredSurface& want) {
  if (want.surface.triangles.empty()) return absl::InvalidArgumentError("the surface to compare with has no triangles");
  ESP_ASSIGN(const ColorViewer got_viewer, ColorViewer::make(got));
  ESP_ASSIGN(const ColorViewer want_viewer, ColorViewer::make(want));
  Errors either, both;
  for (const render::Camera& camera : color_cameras()) {
    const image::Image seen = got_viewer.view(camera, kColorPixels);
    const image::Image wanted = want_viewer.view(camera, kColorPixels);
    for (size_t i = 0; i < seen.pixels.size(); i += 4) {
      const uint8_t *a = seen.pixels.data() + i, *b = wanted.pixels.data() + i;
      if (a[3] != 0 || b[3] != 0) either.add(a, b);
      if (a[3] != 0 && b[3] != 0) both.add(a, b);
    }
  }
  return ColorAgreement{either.psnr(), both.psnr()};
}

}  // namespace espalier::evaluate
