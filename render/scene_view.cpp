#include "render/scene_view.h"

#include <atomic>
#include <numbers>
#include <string>
#include <thread>

#include "render/filmic.h"
#include "render/integrator.h"

namespace espalier::render {

struct SceneTracer::Data {
  Geometry geometry;
  Bvh bvh;
};

SceneTracer::SceneTracer(std::unique_ptr<Data> data) : data_(std::move(data)) {}
SceneTracer::SceneTracer(SceneTracer&&) noexcept = default;
SceneTracer& SceneTracer::operator=(SceneTracer&&) noexcept = default;
SceneTracer::~SceneTracer() = default;

Result<SceneTracer> SceneTracer::make(const mesh::Scene& scene) {
  ESP_TRY(mesh::validate(scene));
  Geometry geometry = Geometry::from(scene);
  ESP_ASSIGN(Bvh bvh, Bvh::make(geometry.positions));
  return SceneTracer(std::make_unique<Data>(Data{std::move(geometry), std::move(bvh)}));
}

namespace {

constexpr int kTile = 16;  // pixels

Status check(int value, int low, int high, const char* name) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(std::string(name) + ": " + std::to_string(value) + " is outside " +
                                    std::to_string(low) + " .. " + std::to_string(high));
}

// Inverse distribution of the Blackman-Harris window over [-1, 1] pixels.
float filter_offset(float u) {
  constexpr int kSteps = 1024;
  static const std::vector<double> cumulative = [] {
    std::vector<double> table(kSteps + 1, 0.0);
    for (int i = 0; i < kSteps; ++i) {
      const double q = 2 * std::numbers::pi * (i + 0.5) / kSteps;
      table[i + 1] = table[i] + 0.35875 - 0.48829 * std::cos(q) + 0.14128 * std::cos(2 * q) - 0.01168 * std::cos(3 * q);
    }
    for (double& value : table) value /= table[kSteps];
    return table;
  }();
  const auto it = std::upper_bound(cumulative.begin() + 1, cumulative.end() - 1, static_cast<double>(u));
  const double part = (u - *(it - 1)) / std::max(*it - *(it - 1), 1e-30);
  return static_cast<float>(2 * (it - 1 - cumulative.begin() + part) / kSteps - 1);
}

struct Shot {
  V3 right, up, back, position;
  float half_width;  // of the picture plane at distance 1
  explicit Shot(const Camera& camera) : half_width(static_cast<float>(std::tan(camera.fov / 2))) {
    const Matrix4 m = camera_to_world(camera);
    const auto column = [&m](int c) {
      return V3(static_cast<float>(m[0][c]), static_cast<float>(m[1][c]), static_cast<float>(m[2][c]));
    };
    right = column(0), up = column(1), back = column(2), position = column(3);
  }
};

void store(Radiance total, int samples, uint8_t* pixel) {
  const float alpha = std::min(total.alpha / samples, 1.0f);
  const auto byte = [](float v) { return static_cast<uint8_t>(v * 255 + 0.5f); };
  pixel[3] = byte(alpha);
  if (pixel[3] == 0) return;
  const V3 color = total.color * (1 / total.alpha);
  pixel[0] = byte(filmic(color.x)), pixel[1] = byte(filmic(color.y)), pixel[2] = byte(filmic(color.z));
}

void render_pixel(const Integrator& integrator, const Shot& shot, const ViewOptions& options, int x, int y,
                  uint8_t* pixel) {
  Radiance total;
  const auto index = static_cast<uint32_t>(y * options.size + x);
  for (int s = 0; s < options.samples; ++s) {
    PathSampler random(options.key, index, static_cast<uint32_t>(s));
    const Pair jitter = random.next();
    const float px = (2 * (x + 0.5f + filter_offset(jitter.u)) / options.size - 1) * shot.half_width;
    const float py = (1 - 2 * (y + 0.5f + filter_offset(jitter.v)) / options.size) * shot.half_width;
    const Radiance one = integrator.trace(shot.position, normalize(shot.right * px + shot.up * py - shot.back), random);
    // A degenerate face must not blacken its pixel.
    if (!std::isfinite(sum(one.color))) continue;
    total.color += one.color;
    total.alpha += one.alpha;
  }
  store(total, options.samples, pixel);
}

}  // namespace

Result<image::Image> SceneTracer::render(const Camera& camera, const Lighting& lighting,
                                         const ViewOptions& options) const {
  ESP_TRY(check(options.size, 1, 4096, "size"));
  ESP_TRY(check(options.samples, 1, 4096, "samples"));
  ESP_TRY(check(options.threads, 0, 1024, "threads"));
  image::Image picture{options.size, options.size, 4, {}};
  picture.pixels.resize(static_cast<size_t>(options.size) * options.size * 4);
  const Integrator integrator(data_->geometry, data_->bvh, lighting, options.mask_as_blend);
  const Shot shot(camera);
  const int side = (options.size + kTile - 1) / kTile;
  std::atomic<int> next{0};
  const auto work = [&] {
    for (int tile; (tile = next.fetch_add(1)) < side * side;) {
      const int x0 = tile % side * kTile, y0 = tile / side * kTile;
      for (int y = y0; y < std::min(y0 + kTile, options.size); ++y)
        for (int x = x0; x < std::min(x0 + kTile, options.size); ++x)
          render_pixel(integrator, shot, options, x, y, picture.at(x, y));
    }
  };
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const int threads = std::min(options.threads ? options.threads : cores, side * side);
  std::vector<std::jthread> pool;
  for (int i = 1; i < threads; ++i) pool.emplace_back(work);
  work();
  pool.clear();
  return picture;
}

}  // namespace espalier::render
