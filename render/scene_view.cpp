#include "render/scene_view.h"

#include <atomic>
#include <numbers>
#include <string>
#include <thread>

#include "common/parallel.h"
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
  ESP_ASSIGN(Bvh bvh, Bvh::make(geometry.positions, geometry.triangles));
  return SceneTracer(std::make_unique<Data>(Data{std::move(geometry), std::move(bvh)}));
}

namespace {

constexpr int kTile = 16;  // pixels

Status check_within(int value, int low, int high, const char* name) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(std::string(name) + ": " + std::to_string(value) + " is outside " +
                                    std::to_string(low) + " .. " + std::to_string(high));
}

// Filter importance sampling (Ernst, Stamminger and Greiner 2006): samples fall around a pixel as its filter weighs
// them, and then count alike.
// Inverse distribution of the Blackman-Harris window over [-1, 1] pixels, at evenly spaced probabilities.
constexpr int kFilterSteps = 4096;

std::vector<float> make_filter_offsets() {
  const auto cumulative = [](double x) {  // of the window over [0, 1]
    const double q = 2 * std::numbers::pi * x;
    return x + (-0.48829 * std::sin(q) + 0.14128 / 2 * std::sin(2 * q) - 0.01168 / 3 * std::sin(3 * q)) /
                   (2 * std::numbers::pi * 0.35875);
  };
  std::vector<float> offsets;
  for (int i = 0; i <= kFilterSteps; ++i) {
    double low = 0, high = 1;
    for (int bit = 0; bit < 40; ++bit) {
      const double middle = (low + high) / 2;
      (cumulative(middle) * kFilterSteps < i ? low : high) = middle;
    }
    offsets.push_back(static_cast<float>(low + high - 1));
  }
  return offsets;
}

float filter_offset(float u) {
  static const std::vector<float> offsets = make_filter_offsets();
  const float x = u * kFilterSteps;
  const int i = static_cast<int>(x);
  return offsets[i] + (offsets[i + 1] - offsets[i]) * (x - static_cast<float>(i));
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

// Pixels that may show the scene; the others need no rays.
struct Window {
  int x0, y0, x1, y1;  // upper ends excluded
};

Window visible_window(const std::vector<V3>& positions, const Shot& shot, int size) {
  const Window all{0, 0, size, size};
  float low_x = 1e30f, low_y = 1e30f, high_x = -1e30f, high_y = -1e30f;
  for (const V3& p : positions) {
    const V3 d = p - shot.position;
    const float depth = -dot(d, shot.back);
    if (depth < 1e-3f) return all;
    const float scale = 0.5f * static_cast<float>(size) / (depth * shot.half_width);
    const float x = 0.5f * static_cast<float>(size) + dot(d, shot.right) * scale;
    const float y = 0.5f * static_cast<float>(size) - dot(d, shot.up) * scale;
    low_x = std::min(low_x, x), high_x = std::max(high_x, x);
    low_y = std::min(low_y, y), high_y = std::max(high_y, y);
  }
  // A pixel's filter reaches one and a half pixels from its centre at most; one more for rounding.
  const auto edge = [size](float v) { return static_cast<int>(std::clamp(v, 0.0f, static_cast<float>(size))); };
  return {edge(low_x - 3), edge(low_y - 3), edge(high_x + 4), edge(high_y + 4)};
}

void store(Radiance total, int samples, uint8_t* pixel) {
  if (samples == 0 || total.alpha <= 0) return;
  const auto byte = [](float v) { return static_cast<uint8_t>(v * 255 + 0.5f); };
  pixel[3] = byte(std::min(total.alpha / static_cast<float>(samples), 1.0f));
  if (pixel[3] == 0) return;
  const V3 color = total.color * (1 / total.alpha);
  pixel[0] = byte(filmic(color.x)), pixel[1] = byte(filmic(color.y)), pixel[2] = byte(filmic(color.z));
}

void render_pixel(const Integrator& integrator, const Shot& shot, const ViewOptions& options, int x, int y,
                  uint8_t* pixel) {
  Radiance total;
  const auto index = static_cast<uint32_t>(y * options.size + x);
  int used = 0;
  for (int s = 0; s < options.samples; ++s) {
    PathSampler random(options.key, index, static_cast<uint32_t>(s));
    const Pair jitter = random.next();
    const float size = static_cast<float>(options.size);
    const float px = (2 * (static_cast<float>(x) + 0.5f + filter_offset(jitter.u)) / size - 1) * shot.half_width;
    const float py = (1 - 2 * (static_cast<float>(y) + 0.5f + filter_offset(jitter.v)) / size) * shot.half_width;
    const Radiance one = integrator.trace(shot.position, normalize(shot.right * px + shot.up * py - shot.back), random);
    // A degenerate face must not blacken its pixel.
    if (!std::isfinite(sum(one.color))) continue;
    total.color += one.color;
    total.alpha += one.alpha;
    ++used;
  }
  store(total, used, pixel);
}

}  // namespace

Result<image::Image> SceneTracer::render(const Camera& camera, const Lighting& lighting,
                                         const ViewOptions& options) const {
  ESP_TRY(check_within(options.size, 1, 4096, "size"));
  ESP_TRY(check_within(options.samples, 1, 4096, "samples"));
  ESP_TRY(check_within(options.threads, 0, 1024, "threads"));
  image::Image picture{options.size, options.size, 4, {}};
  picture.pixels.resize(static_cast<size_t>(options.size) * options.size * 4);
  const Integrator integrator(data_->geometry, data_->bvh, lighting, options.mask_as_blend);
  const Shot shot(camera);
  const Window window = visible_window(data_->geometry.positions, shot, options.size);
  const int columns = (window.x1 - window.x0 + kTile - 1) / kTile, rows = (window.y1 - window.y0 + kTile - 1) / kTile;
  const int tiles = std::max(columns, 0) * std::max(rows, 0);
  std::atomic<int> next{0};
  const auto work = [&] {
    for (int tile; (tile = next.fetch_add(1)) < tiles;) {
      const int x0 = window.x0 + tile % columns * kTile, y0 = window.y0 + tile / columns * kTile;
      for (int y = y0; y < std::min(y0 + kTile, window.y1); ++y)
        for (int x = x0; x < std::min(x0 + kTile, window.x1); ++x)
          render_pixel(integrator, shot, options, x, y, picture.at(x, y));
    }
  };
  std::vector<std::jthread> pool;
  for (int i = 1; i < worker_count(options.threads, tiles); ++i) pool.emplace_back(work);
  work();
  pool.clear();
  return picture;
}

}  // namespace espalier::render
