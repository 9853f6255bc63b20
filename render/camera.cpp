#include "render/camera.h"

#include <cmath>
#include <numbers>
#include <string>

#include "common/philox.h"
#include "common/sha256.h"

namespace espalier::render {
namespace {

constexpr uint32_t kCameraStream = 1, kLightStream = 2;

double radical_inverse_2(uint32_t n) {
  double result = 0, digit = 0.5;
  for (; n; n >>= 1, digit /= 2) result += digit * (n & 1);
  return result;
}

Vec3 direction(const Camera& camera) {
  return {static_cast<float>(std::cos(camera.yaw) * std::cos(camera.pitch)),
          static_cast<float>(std::sin(camera.yaw) * std::cos(camera.pitch)),
          static_cast<float>(std::sin(camera.pitch))};
}

}  // namespace

Matrix4 camera_to_world(const Camera& camera) {
  const double cy = std::cos(camera.yaw), sy = std::sin(camera.yaw);
  const double cp = std::cos(camera.pitch), sp = std::sin(camera.pitch);
  const double d[3] = {cy * cp, sy * cp, sp};
  const double right[3] = {-sy, cy, 0};
  const double up[3] = {-cy * sp, -sy * sp, cp};
  Matrix4 matrix{};
  for (int i = 0; i < 3; ++i) matrix[i] = {right[i], up[i], d[i], camera.radius * d[i]};
  matrix[3] = {0, 0, 0, 1};
  return matrix;
}

float PointLight::radiance() const {
  return static_cast<float>(power / (4 * std::numbers::pi * std::numbers::pi * static_cast<double>(radius) * radius));
}

uint64_t object_key(uint64_t seed, std::string_view sha256) {
  return std::stoull(sha256_hex(std::to_string(seed) + ":" + std::string(sha256)).substr(0, 16), nullptr, 16);
}

std::vector<Camera> sample_cameras(uint64_t key, int views, int attempt) {
  PhiloxStream random(key, kCameraStream, static_cast<uint32_t>(attempt));
  const double offset_u = random.uniform(), offset_v = random.uniform();
  const double r_min = std::sqrt(3.0) / 2 / std::sin(35 * std::numbers::pi / 180);
  const double r_max = std::sqrt(3.0) / 2 / std::sin(5 * std::numbers::pi / 180);
  std::vector<Camera> cameras(views);
  for (int n = 0; n < views; ++n) {
    double u = (n + offset_u) / views;
    u = u < 0.25 ? 2 * u : 2 * u / 3 + 1.0 / 3;
    Camera& camera = cameras[n];
    camera.pitch = std::acos(1 - 2 * u) - std::numbers::pi / 2;
    camera.yaw = 2 * std::numbers::pi * (radical_inverse_2(static_cast<uint32_t>(n)) + offset_v);
    camera.radius = 1 / std::sqrt(random.uniform(1 / (r_max * r_max), 1 / (r_min * r_min)));
    camera.fov = 2 * std::asin(std::sqrt(3.0) / 2 / camera.radius);
  }
  return cameras;
}

Lighting sample_lighting(uint64_t key, int view, const Camera& camera, int attempt) {
  PhiloxStream random(key, kLightStream + static_cast<uint32_t>(attempt) * 16, static_cast<uint32_t>(view));
  const Vec3 towards = direction(camera);
  Lighting lighting;
  double budget = 1.5;
  const int count = 1 + static_cast<int>(random.below(3));
  for (int i = 0; i < count; ++i) {
    const double distance = 1 / random.uniform(0.01, 0.1);
    const double x = random.normal(), y = random.normal(), z = random.normal() + 0.6;
    const double length = std::sqrt(x * x + y * y + z * z);
    const double c = (towards[0] * x + towards[1] * y + towards[2] * z) / length;
    const double strength = std::sqrt(random.uniform(0.01, 1)) * budget / (0.45 * c + 0.55);
    budget -= std::max(0.5 * c + 0.5, 0.0) * strength;
    PointLight light;
    const double scale = distance / length;
    light.position = {static_cast<float>(x * scale), static_cast<float>(y * scale), static_cast<float>(z * scale)};
    light.radius = static_cast<float>(random.uniform(0.1, 0.1 * distance));
    light.power = static_cast<float>(strength * distance * distance * 31.4);
    lighting.lights.push_back(light);
  }
  lighting.environment = static_cast<float>(std::max(budget, 0.0));
  return lighting;
}

}  // namespace espalier::render
