#include "nano/surface_agreement.h"

#include <algorithm>
#include <cmath>

#include "mesh/closest_point.h"

namespace espalier::nano {
namespace {

constexpr int64_t kSamples = 4000;
constexpr uint64_t kSampleSeed = 0x5a3b;

using mesh::Vec3;

double area(const Vec3& a, const Vec3& b, const Vec3& c) {
  const std::array<double, 3> u{b[0] - a[0], b[1] - a[1], b[2] - a[2]}, v{c[0] - a[0], c[1] - a[1], c[2] - a[2]};
  return 0.5 * std::hypot(u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]);
}

std::vector<double> cumulative_areas(const mesh::Surface& surface) {
  std::vector<double> sums;
  double sum = 0;
  for (const mesh::Triangle& t : surface.triangles) {
    sum += area(surface.positions[t[0]], surface.positions[t[1]], surface.positions[t[2]]);
    sums.push_back(sum);
  }
  return sums;
}

Vec3 point_in(const mesh::Surface& surface, const mesh::Triangle& t, PhiloxStream& random) {
  double u = random.uniform(), v = random.uniform();
  if (u + v > 1) {
    u = 1 - u;
    v = 1 - v;
  }
  Vec3 point{};
  for (size_t i = 0; i < 3; ++i) {
    point[i] = static_cast<float>((1 - u - v) * surface.positions[t[0]][i] + u * surface.positions[t[1]][i] +
                                  v * surface.positions[t[2]][i]);
  }
  return point;
}

// Of points to the other surface.
struct Directed {
  double mean = 0;
  double near = 0;  // share within kFScoreDistance
};

Directed directed(const std::vector<Vec3>& points, const mesh::ClosestPoint& surface) {
  Directed result;
  const auto share = 1.0 / static_cast<double>(points.size());
  for (const Vec3& point : points) {
    const double distance = surface.find(point).distance;
    result.mean += distance * share;
    if (distance <= kFScoreDistance) result.near += share;
  }
  return result;
}

}  // namespace

Result<std::vector<Vec3>> surface_samples(const mesh::Surface& surface, int64_t count, PhiloxStream random) {
  const std::vector<double> sums = cumulative_areas(surface);
  if (sums.empty() || !(sums.back() > 0)) return absl::InvalidArgumentError("the surface has no area");
  std::vector<Vec3> points;
  for (int64_t i = 0; i < count; ++i) {
    const auto at = std::upper_bound(sums.begin(), sums.end(), random.uniform() * sums.back());
    const auto triangle = std::min<size_t>(at - sums.begin(), sums.size() - 1);
    points.push_back(point_in(surface, surface.triangles[triangle], random));
  }
  return points;
}

Result<SurfaceAgreement> surface_agreement(const mesh::Surface& got, const mesh::Surface& want) {
  ESP_ASSIGN(const std::vector<Vec3> wanted, surface_samples(want, kSamples, PhiloxStream(kSampleSeed, 1)));
  const auto made = surface_samples(got, kSamples, PhiloxStream(kSampleSeed, 0));
  if (!made.ok()) return SurfaceAgreement{};
  ESP_ASSIGN(const mesh::ClosestPoint to_want, mesh::ClosestPoint::over(want));
  ESP_ASSIGN(const mesh::ClosestPoint to_got, mesh::ClosestPoint::over(got));
  const Directed precision = directed(*made, to_want), recall = directed(wanted, to_got);
  SurfaceAgreement result;
  result.chamfer = (precision.mean + recall.mean) / 2;
  const double sum = precision.near + recall.near;
  result.f_score = sum > 0 ? 2 * precision.near * recall.near / sum : 0;
  return result;
}

}  // namespace espalier::nano
