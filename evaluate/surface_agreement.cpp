#include "evaluate/surface_agreement.h"

#include <algorithm>
#include <cmath>

#include "mesh/closest_point.h"

namespace espalier::evaluate {
namespace {

constexpr int64_t kSurfaceSamples = 4000;
constexpr uint64_t kSampleSeed = 0x5a3b;

using mesh::Vec3;

using Vector = std::array<double, 3>;

// Normal to the triangle, twice as long as its area.
Vector cross_of(const mesh::Surface& surface, const mesh::Triangle& t) {
  const Vec3 &a = surface.positions[t[0]], &b = surface.positions[t[1]], &c = surface.positions[t[2]];
  const Vector u{b[0] - a[0], b[1] - a[1], b[2] - a[2]}, v{c[0] - a[0], c[1] - a[1], c[2] - a[2]};
  return {u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]};
}

double length(const Vector& v) { return std::hypot(v[0], v[1], v[2]); }

// Of the normals of two triangles, whichever way they are wound; 0 where one has no area.
double cosine(const Vector& a, const Vector& b) {
  const double lengths = length(a) * length(b);
  return lengths > 0 ? std::abs(a[0] * b[0] + a[1] * b[1] + a[2] * b[2]) / lengths : 0;
}

std::vector<double> cumulative_areas(const mesh::Surface& surface) {
  std::vector<double> sums;
  double sum = 0;
  for (const mesh::Triangle& t : surface.triangles) sums.push_back(sum += length(cross_of(surface, t)) / 2);
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
  double cosine = 0;
};

Result<Directed> directed(const mesh::Surface& from, const std::vector<SurfaceSample>& samples,
                          const mesh::Surface& to) {
  ESP_ASSIGN(const mesh::ClosestPoint closest, mesh::ClosestPoint::over(to));
  Directed result;
  const auto share = 1.0 / static_cast<double>(samples.size());
  for (const SurfaceSample& sample : samples) {
    const mesh::ClosestPoint::Hit hit = closest.find(sample.point);
    result.mean += hit.distance * share;
    if (hit.distance <= kFScoreDistance) result.near += share;
    result.cosine +=
        share * cosine(cross_of(from, from.triangles[sample.triangle]), cross_of(to, to.triangles[hit.triangle]));
  }
  return result;
}

}  // namespace

Result<std::vector<SurfaceSample>> surface_samples(const mesh::Surface& surface, int64_t count, PhiloxStream random) {
  const std::vector<double> sums = cumulative_areas(surface);
  if (sums.empty() || !(sums.back() > 0)) return absl::InvalidArgumentError("the surface has no area");
  std::vector<SurfaceSample> samples;
  for (int64_t i = 0; i < count; ++i) {
    const auto at = std::upper_bound(sums.begin(), sums.end(), random.uniform() * sums.back());
    const auto triangle = static_cast<uint32_t>(std::min<size_t>(at - sums.begin(), sums.size() - 1));
    samples.push_back({point_in(surface, surface.triangles[triangle], random), triangle});
  }
  return samples;
}

Result<SurfaceAgreement> surface_agreement(const mesh::Surface& got, const mesh::Surface& want) {
  ESP_ASSIGN(const auto wanted, surface_samples(want, kSurfaceSamples, PhiloxStream(kSampleSeed, 1)));
  const auto made = surface_samples(got, kSurfaceSamples, PhiloxStream(kSampleSeed, 0));
  if (!made.ok()) return SurfaceAgreement{};
  ESP_ASSIGN(const Directed precision, directed(got, *made, want));
  ESP_ASSIGN(const Directed recall, directed(want, wanted, got));
  SurfaceAgreement result;
  result.chamfer = (precision.mean + recall.mean) / 2;
  result.normal_consistency = (precision.cosine + recall.cosine) / 2;
  const double sum = precision.near + recall.near;
  result.f_score = sum > 0 ? 2 * precision.near * recall.near / sum : 0;
  return result;
}

}  // namespace espalier::evaluate
