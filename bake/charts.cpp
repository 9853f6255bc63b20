#include "bake/charts.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>
#include <span>
#include <tuple>

#include "bake/clusters.h"
#include "bake/vector.h"
#include "common/parallel.h"

namespace espalier::bake {
namespace {

constexpr int kTurns = 16;  // tried in a quarter of a turn
constexpr size_t kTrianglesPerTask = 8192;

// Triangles by cluster: those of cluster c are triangles[begin[c] .. begin[c + 1]), ascending.
struct Members {
  std::vector<uint32_t> begin, triangles;

  explicit Members(const Clusters& clusters) : begin(clusters.count + 1), triangles(clusters.of_triangle.size()) {
    for (const uint32_t c : clusters.of_triangle) ++begin[c + 1];
    for (size_t c = 1; c < begin.size(); ++c) begin[c] += begin[c - 1];
    std::vector<uint32_t> next(begin.begin(), begin.end() - 1);
    for (uint32_t t = 0; t < triangles.size(); ++t) triangles[next[clusters.of_triangle[t]]++] = t;
  }

  std::span<const uint32_t> of(size_t cluster) const {
    return std::span(triangles).subspan(begin[cluster], begin[cluster + 1] - begin[cluster]);
  }

  // Consecutive clusters of about as many triangles: [T + 1] bounds.
  std::vector<size_t> tasks() const {
    std::vector<size_t> out{0};
    for (size_t c = 0; c + 1 < begin.size(); ++c) {
      if (begin[c + 1] - begin[out.back()] >= kTrianglesPerTask) out.push_back(c + 1);
    }
    if (out.back() + 1 < begin.size()) out.push_back(begin.size() - 1);
    return out;
  }
};

// A chart without places yet.
Chart gathered(const mesh::Surface& surface, std::span<const uint32_t> faces) {
  Chart out;
  out.faces.assign(faces.begin(), faces.end());
  for (const uint32_t f : faces) {
    const mesh::Triangle& corners = surface.triangles[f];
    out.vertices.insert(out.vertices.end(), corners.begin(), corners.end());
  }
  std::sort(out.vertices.begin(), out.vertices.end());
  out.vertices.erase(std::unique(out.vertices.begin(), out.vertices.end()), out.vertices.end());
  for (const uint32_t f : faces) {
    mesh::Triangle& t = out.triangles.emplace_back();
    for (size_t k = 0; k < 3; ++k) {
      const auto place = std::lower_bound(out.vertices.begin(), out.vertices.end(), surface.triangles[f][k]);
      t[k] = static_cast<uint32_t>(place - out.vertices.begin());
    }
  }
  return out;
}

Point area_of(const mesh::Surface& surface, uint32_t face) {
  const mesh::Triangle& t = surface.triangles[face];
  return area_vector(surface.positions[t[0]], surface.positions[t[1]], surface.positions[t[2]]);
}

struct Turn {
  double cosine = 1, sine = 0;

  explicit Turn(double angle) : cosine(std::cos(angle)), sine(std::sin(angle)) {}
  TexelPoint operator()(const TexelPoint& p) const {
    return {cosine * p[0] - sine * p[1], sine * p[0] + cosine * p[1]};
  }
};

struct Extremes {
  TexelPoint low, high;
};

Extremes extremes(std::span<const TexelPoint> points, const Turn& turn) {
  constexpr double kFar = std::numeric_limits<double>::infinity();
  Extremes out{{kFar, kFar}, {-kFar, -kFar}};
  for (const TexelPoint& p : points) {
    const TexelPoint q = turn(p);
    for (size_t a = 0; a < 2; ++a) {
      out.low[a] = std::min(out.low[a], q[a]);
      out.high[a] = std::max(out.high[a], q[a]);
    }
  }
  return out;
}

// Moves the points to (0, 0), turned so that their box is small and upright.
void settle(Chart& chart) {
  double best_angle = 0, least = std::numeric_limits<double>::infinity();
  for (int i = 0; i < kTurns; ++i) {
    const double angle = std::numbers::pi / 2 * i / kTurns;
    const Extremes box = extremes(chart.points, Turn(angle));
    const double area = (box.high[0] - box.low[0]) * (box.high[1] - box.low[1]);
    if (area < least) least = area, best_angle = angle;
  }
  Extremes box = extremes(chart.points, Turn(best_angle));
  if (box.high[0] - box.low[0] > box.high[1] - box.low[1]) {
    best_angle += std::numbers::pi / 2;
    box = extremes(chart.points, Turn(best_angle));
  }
  const Turn turn(best_angle);
  for (TexelPoint& p : chart.points) {
    p = turn(p);
    for (size_t a = 0; a < 2; ++a) p[a] = std::max(0.0, p[a] - box.low[a]);
  }
  chart.extent = {box.high[0] - box.low[0], box.high[1] - box.low[1]};
}

// Projects the vertices along the mean normal and scales them to the area that the triangles have in space.
void project(const mesh::Surface& surface, Chart& chart) {
  Point sum{};
  double area = 0;
  for (const uint32_t f : chart.faces) {
    const Point n = area_of(surface, f);
    sum = plus(sum, n);
    area += length(n);
  }
  const Point axis = length(sum) > 0 ? normalized(sum) : Point{0, 0, 1};
  const Point away = std::abs(axis[2]) < 0.9 ? Point{0, 0, 1} : Point{1, 0, 0};
  const Point right = normalized(cross(away, axis)), up = cross(axis, right);
  const double scale = length(sum) > 0 ? std::sqrt(area / length(sum)) : 1;
  const Point origin = point_of(surface.positions[chart.vertices[0]]);  // near, so that differences are exact
  for (const uint32_t v : chart.vertices) {
    const Point p = minus(point_of(surface.positions[v]), origin);
    chart.points.push_back({scale * dot(p, right), scale * dot(p, up)});
  }
  settle(chart);
}

TexelTriangle corners_of(const Chart& chart, size_t triangle, double scale) {
  TexelTriangle out;
  for (size_t k = 0; k < 3; ++k) {
    for (size_t a = 0; a < 2; ++a) out[k][a] = scale * chart.points[chart.triangles[triangle][k]][a];
  }
  return out;
}

// The texels of one chart, and which of them are taken.
class Ground {
 public:
  Ground(const Chart& chart, double scale)
      : chart_(chart),
        scale_(scale),
        box_{0, 0, 1 + static_cast<int>(scale * chart.extent[0]), 1 + static_cast<int>(scale * chart.extent[1])},
        taken_(static_cast<size_t>(box_.x1) * static_cast<size_t>(box_.y1)) {}

  // Takes the triangle's texels; none when one of them is taken already, or when the triangle is seen from behind.
  bool take(size_t triangle) {
    const TexelTriangle corners = corners_of(chart_, triangle, scale_);
    bool free = edge_side(corners[0], corners[1], corners[2]) >= 0;
    for_texels_inside(corners, box_, [&](int x, int y) { free = free && !taken_[place(x, y)]; });
    if (free) for_texels_inside(corners, box_, [&](int x, int y) { taken_[place(x, y)] = true; });
    return free;
  }

  void clear() { std::fill(taken_.begin(), taken_.end(), false); }

 private:
  size_t place(int x, int y) const {
    return static_cast<size_t>(y) * static_cast<size_t>(box_.x1) + static_cast<size_t>(x);
  }

  const Chart& chart_;
  double scale_;
  TexelBox box_;
  std::vector<bool> taken_;
};

// Triangles that share a side, [F] up to three or more each, as lists of neighbours.
std::vector<std::vector<uint32_t>> neighbours(const std::vector<mesh::Triangle>& triangles) {
  struct Side {
    uint32_t low, high, triangle;
  };
  std::vector<Side> sides;
  for (uint32_t t = 0; t < triangles.size(); ++t) {
    for (size_t k = 0; k < 3; ++k) {
      const auto [low, high] = std::minmax(triangles[t][k], triangles[t][(k + 1) % 3]);
      sides.push_back({low, high, t});
    }
  }
  std::sort(sides.begin(), sides.end(), [](const Side& a, const Side& b) {
    return std::tie(a.low, a.high, a.triangle) < std::tie(b.low, b.high, b.triangle);
  });
  std::vector<std::vector<uint32_t>> out(triangles.size());
  for (size_t i = 1; i < sides.size(); ++i) {
    if (sides[i].low != sides[i - 1].low || sides[i].high != sides[i - 1].high) continue;
    out[sides[i].triangle].push_back(sides[i - 1].triangle);
    out[sides[i - 1].triangle].push_back(sides[i].triangle);
  }
  return out;
}

// The first triangle, and all that hang together with it and do not cover each other.
std::vector<uint32_t> layer(const Chart& chart, Ground& ground) {
  const auto around = neighbours(chart.triangles);
  std::vector<bool> seen(chart.triangles.size());
  ground.clear();
  std::vector<uint32_t> out;
  for (uint32_t first = 0; first < seen.size() && out.empty(); ++first) {
    if (ground.take(first)) out = {first}, seen[first] = true;
  }
  if (out.empty()) out = {0}, seen[0] = true;
  for (size_t i = 0; i < out.size(); ++i) {
    for (const uint32_t next : around[out[i]]) {
      if (seen[next] || !ground.take(next)) continue;
      seen[next] = true;
      out.push_back(next);
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

bool covers_itself(const Chart& chart, Ground& ground) {
  for (size_t t = 0; t < chart.triangles.size(); ++t) {
    if (!ground.take(t)) return true;
  }
  return false;
}

// The part of a chart with the listed triangles, placed as they were.
Chart part_of(const mesh::Surface& surface, const Chart& chart, const std::vector<uint32_t>& triangles) {
  std::vector<uint32_t> faces;
  for (const uint32_t t : triangles) faces.push_back(chart.faces[t]);
  Chart out = gathered(surface, faces);
  for (const uint32_t v : out.vertices) {
    const auto place = std::lower_bound(chart.vertices.begin(), chart.vertices.end(), v);
    out.points.push_back(chart.points[static_cast<size_t>(place - chart.vertices.begin())]);
  }
  settle(out);
  return out;
}

// What a projection hides is projected anew, without what it hid it.
void append_charts(const mesh::Surface& surface, std::vector<uint32_t> faces, double texels_per_unit,
                   std::vector<Chart>& out) {
  while (!faces.empty()) {
    Chart chart = gathered(surface, faces);
    project(surface, chart);
    Ground ground(chart, texels_per_unit);
    if (!covers_itself(chart, ground)) {
      out.push_back(std::move(chart));
      return;
    }
    const std::vector<uint32_t> kept = layer(chart, ground);
    out.push_back(part_of(surface, chart, kept));
    std::vector<uint32_t> hidden;
    std::set_difference(faces.begin(), faces.end(), out.back().faces.begin(), out.back().faces.end(),
                        std::back_inserter(hidden));
    faces = std::move(hidden);
  }
}

}  // namespace

Result<std::vector<Chart>> cut_charts(const mesh::Surface& surface, double texels_per_unit, int threads,
                                      const std::stop_token& stop) {
  const Clusters clusters = cluster_triangles(surface, threads);
  const Members members(clusters);
  const std::vector<size_t> bounds = members.tasks();
  const size_t tasks = bounds.size() - 1;
  std::vector<std::vector<Chart>> parts(tasks);
  parallel_for(tasks, worker_count(threads, tasks), [&](size_t task, int) {
    for (size_t c = bounds[task]; c < bounds[task + 1] && !stop.stop_requested(); ++c) {
      const auto faces = members.of(c);
      append_charts(surface, {faces.begin(), faces.end()}, texels_per_unit, parts[task]);
    }
  });
  if (stop.stop_requested()) return absl::CancelledError("stopped");
  std::vector<Chart> out;
  for (auto& part : parts) std::move(part.begin(), part.end(), std::back_inserter(out));
  return out;
}

}  // namespace espalier::bake
