#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "mesh/surface.h"

namespace espalier::mesh {
namespace {

struct Edge {
  uint32_t from, to;  // in the order its triangle has them

  std::array<uint32_t, 2> key() const { return {std::min(from, to), std::max(from, to)}; }
};

// The boundary of a surface, and the vertices at which a loop may go on.
struct Boundary {
  std::vector<Edge> edges;     // used by one triangle, by key
  std::vector<uint8_t> count;  // [N] boundary edges at each vertex, 3 for three or more
  std::vector<bool> crowded;   // [N] has an edge of three or more triangles

  bool passable(uint32_t vertex) const { return count[vertex] == 2 && !crowded[vertex]; }
};

Boundary boundary_of(const Surface& surface) {
  std::vector<Edge> edges;
  edges.reserve(surface.triangles.size() * 3);
  for (const Triangle& t : surface.triangles) {
    if (t[0] == t[1] || t[1] == t[2] || t[2] == t[0]) continue;
    for (size_t k = 0; k < 3; ++k) edges.push_back({t[k], t[(k + 1) % 3]});
  }
  std::stable_sort(edges.begin(), edges.end(), [](const Edge& a, const Edge& b) { return a.key() < b.key(); });
  Boundary out{{}, std::vector<uint8_t>(surface.positions.size()), std::vector<bool>(surface.positions.size())};
  for (size_t i = 0; i < edges.size();) {
    size_t end = i + 1;
    while (end < edges.size() && edges[end].key() == edges[i].key()) ++end;
    for (const uint32_t vertex : edges[i].key()) {
      if (end - i == 1) out.count[vertex] = static_cast<uint8_t>(std::min(out.count[vertex] + 1, 3));
      if (end - i > 2) out.crowded[vertex] = true;
    }
    if (end - i == 1) out.edges.push_back(edges[i]);
    i = end;
  }
  return out;
}

// For each passable vertex the two boundary edges at it.
std::vector<std::array<uint32_t, 2>> edges_at(const Boundary& boundary) {
  std::vector<std::array<uint32_t, 2>> out(boundary.count.size());
  std::vector<uint8_t> found(boundary.count.size());
  for (uint32_t e = 0; e < boundary.edges.size(); ++e) {
    for (const uint32_t vertex : boundary.edges[e].key()) {
      if (boundary.passable(vertex)) out[vertex][found[vertex]++] = e;
    }
  }
  return out;
}

// The closed loops of boundary edges, each from its first edge on; a path that ends is none. A walk goes on at a vertex
// only where it has no choice, so a loop is the same from whichever edge it is begun.
std::vector<std::vector<uint32_t>> loops_of(const Boundary& boundary) {
  const auto at = edges_at(boundary);
  std::vector<bool> visited(boundary.edges.size());
  std::vector<std::vector<uint32_t>> out;
  for (uint32_t first = 0; first < boundary.edges.size(); ++first) {
    if (visited[first]) continue;
    std::vector<uint32_t> loop;
    uint32_t edge = first, vertex = boundary.edges[first].to;
    do {
      visited[edge] = true;
      loop.push_back(edge);
      if (!boundary.passable(vertex)) break;
      edge = at[vertex][0] == edge ? at[vertex][1] : at[vertex][0];
      const Edge& next = boundary.edges[edge];
      vertex = next.from == vertex ? next.to : next.from;
    } while (!visited[edge]);
    if (edge == first && boundary.passable(boundary.edges[first].to)) out.push_back(std::move(loop));
  }
  return out;
}

double length(const Vec3& a, const Vec3& b) {
  return std::hypot(double{a[0]} - b[0], double{a[1]} - b[1], double{a[2]} - b[2]);
}

void close(const Boundary& boundary, const std::vector<uint32_t>& loop, Surface& surface) {
  std::array<double, 3> sum{};
  const auto center = static_cast<uint32_t>(surface.positions.size());
  for (const uint32_t e : loop) {
    const Edge& edge = boundary.edges[e];
    for (size_t a = 0; a < 3; ++a) {
      sum[a] += (double{surface.positions[edge.from][a]} + surface.positions[edge.to][a]) / 2;
    }
    surface.triangles.push_back({edge.to, edge.from, center});
  }
  const auto count = static_cast<double>(loop.size());
  surface.positions.push_back(
      {static_cast<float>(sum[0] / count), static_cast<float>(sum[1] / count), static_cast<float>(sum[2] / count)});
}

}  // namespace

Result<size_t> fill_holes(Surface& surface, float max_perimeter) {
  ESP_TRY(validate(surface));
  const Boundary boundary = boundary_of(surface);
  size_t closed = 0;
  for (const auto& loop : loops_of(boundary)) {
    double perimeter = 0;
    for (const uint32_t e : loop) {
      perimeter += length(surface.positions[boundary.edges[e].from], surface.positions[boundary.edges[e].to]);
    }
    if (perimeter >= max_perimeter) continue;
    close(boundary, loop, surface);
    ++closed;
  }
  return closed;
}

}  // namespace espalier::mesh
