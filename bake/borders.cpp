#include "bake/borders.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <tuple>

#include "common/parallel.h"

namespace espalier::bake {
namespace {

constexpr size_t kVerticesPerTask = 16384;

// One side of a triangle, kept under its lower vertex.
struct Side {
  uint32_t high, triangle;
};

// Sides by their lower vertex: those of vertex v are sides[begin[v] .. begin[v + 1]).
struct SidesByVertex {
  std::vector<uint32_t> begin;
  std::vector<Side> sides;

  explicit SidesByVertex(const mesh::Surface& surface)
      : begin(surface.positions.size() + 1), sides(surface.triangles.size() * 3) {
    for (const mesh::Triangle& t : surface.triangles) {
      for (size_t k = 0; k < 3; ++k) ++begin[std::min(t[k], t[(k + 1) % 3]) + 1];
    }
    for (size_t v = 1; v < begin.size(); ++v) begin[v] += begin[v - 1];
    std::vector<uint32_t> next(begin.begin(), begin.end() - 1);
    for (uint32_t t = 0; t < surface.triangles.size(); ++t) {
      const mesh::Triangle& corners = surface.triangles[t];
      for (size_t k = 0; k < 3; ++k) {
        const auto [low, high] = std::minmax(corners[k], corners[(k + 1) % 3]);
        sides[next[low]++] = {high, t};
      }
    }
  }
};

float distance(const mesh::Vec3& a, const mesh::Vec3& b) { return std::hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]); }

void append_pairs(const mesh::Surface& surface, uint32_t low, std::span<Side> sides, std::vector<Border>& out) {
  std::sort(sides.begin(), sides.end(),
            [](const Side& a, const Side& b) { return std::tie(a.high, a.triangle) < std::tie(b.high, b.triangle); });
  for (size_t i = 0, end; i < sides.size(); i = end) {
    for (end = i + 1; end < sides.size() && sides[end].high == sides[i].high;) ++end;
    if (end - i != 2) continue;
    out.push_back(
        {sides[i].triangle, sides[i + 1].triangle, distance(surface.positions[low], surface.positions[sides[i].high])});
  }
}

}  // namespace

std::vector<Border> shared_borders(const mesh::Surface& surface, int threads) {
  SidesByVertex all(surface);
  const size_t vertices = surface.positions.size();
  const size_t tasks = (vertices + kVerticesPerTask - 1) / kVerticesPerTask;
  std::vector<std::vector<Border>> parts(tasks);
  parallel_for(tasks, worker_count(threads, tasks), [&](size_t task, int) {
    const size_t end = std::min(vertices, (task + 1) * kVerticesPerTask);
    for (size_t v = task * kVerticesPerTask; v < end; ++v) {
      append_pairs(surface, static_cast<uint32_t>(v),
                   std::span(all.sides).subspan(all.begin[v], all.begin[v + 1] - all.begin[v]), parts[task]);
    }
  });
  std::vector<Border> out;
  out.reserve(surface.triangles.size() * 3 / 2);
  for (const auto& part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}

}  // namespace espalier::bake
