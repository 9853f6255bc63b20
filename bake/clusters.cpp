#include "bake/clusters.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <numbers>
#include <span>

#include "bake/borders.h"
#include "bake/vector.h"
#include "common/parallel.h"

namespace espalier::bake {
namespace {

constexpr double kWidestCone = std::numbers::pi / 2;       // half its angle
constexpr double kLeastSeen = 0.75;                        // of the area, along the mean normal
constexpr double kAreaCost = 0.1, kRaggednessCost = 2e-2;  // beside the cone's angle in radians
constexpr size_t kPerTask = 16384;
constexpr uint64_t kNever = UINT64_MAX;

// The directions within `angle` of `axis`; an angle below 0 stands for none.
struct Cone {
  Point axis{};
  double angle = -1;
};

// The narrowest cone around two.
Cone around(const Cone& a, const Cone& b) {
  if (a.angle < 0) return b;
  if (b.angle < 0) return a;
  const double between = std::acos(std::clamp(dot(a.axis, b.axis), -1.0, 1.0));
  if (between + b.angle <= a.angle) return a;
  if (between + a.angle <= b.angle) return b;
  const double angle = (between + a.angle + b.angle) / 2, turn = angle - a.angle;
  const Point sideways = normalized(minus(b.axis, plus(Point{}, a.axis, dot(a.axis, b.axis))));
  return {normalized(plus(plus(Point{}, a.axis, std::cos(turn)), sideways, std::sin(turn))), angle};
}

struct Cluster {
  Cone cone;
  Point area_vector{};  // sum over the triangles
  double area = 0, outline = 0;
};

Cluster joined(const Cluster& a, const Cluster& b, double shared) {
  return {around(a.cone, b.cone), plus(a.area_vector, b.area_vector), a.area + b.area,
          std::max(0.0, a.outline + b.outline - 2 * shared)};
}

Cluster of_triangle(const mesh::Surface& surface, const mesh::Triangle& t) {
  const mesh::Vec3 &a = surface.positions[t[0]], &b = surface.positions[t[1]], &c = surface.positions[t[2]];
  Cluster out;
  out.area_vector = area_vector(a, b, c);
  out.area = length(out.area_vector);
  if (out.area > 0) out.cone = {normalized(out.area_vector), 0};
  out.outline = length(minus(point_of(b), point_of(a))) + length(minus(point_of(c), point_of(b))) +
                length(minus(point_of(a), point_of(c)));
  return out;
}

// Scatters consecutive numbers over all 32-bit ones, each to another.
uint32_t scattered(uint32_t x) {
  x = (x ^ x >> 16) * 0x7feb352du;
  x = (x ^ x >> 15) * 0x846ca68bu;
  return x ^ x >> 16;
}

// Smaller is joined first; different for each `index`. Costs within an eighth of a power of two count as equal, in
// random order: exact ones would let pairs wait for each other in long rows.
uint64_t priority(const Cluster& together, uint32_t index) {
  if (together.cone.angle > kWidestCone || length(together.area_vector) < kLeastSeen * together.area) return kNever;
  const double ragged = together.area > 0 ? together.outline * together.outline / together.area : 0;
  const double cost = std::max(0.0, together.cone.angle) + kAreaCost * together.area + kRaggednessCost * ragged;
  return uint64_t{std::bit_cast<uint32_t>(static_cast<float>(cost)) >> 20} << 32 | scattered(index);
}

void keep_least(std::atomic<uint64_t>& place, uint64_t value) {
  uint64_t seen = place.load(std::memory_order_relaxed);
  while (value < seen && !place.compare_exchange_weak(seen, value, std::memory_order_relaxed)) {
  }
}

class Clustering {
 public:
  Clustering(const mesh::Surface& surface, int threads)
      : threads_(threads),
        borders_(shared_borders(surface, threads)),
        clusters_(surface.triangles.size()),
        into_(surface.triangles.size()),
        best_(surface.triangles.size()) {
    for_all(clusters_.size(), [&](size_t t) {
      clusters_[t] = of_triangle(surface, surface.triangles[t]);
      into_[t] = static_cast<uint32_t>(t);
    });
  }

  Clusters run() {
    while (join_round()) regroup();
    return result();
  }

 private:
  template <class Work>
  void for_all(size_t count, const Work& work) const {
    const size_t tasks = (count + kPerTask - 1) / kPerTask;
    parallel_for(tasks, worker_count(threads_, tasks), [&](size_t task, int) {
      const size_t end = std::min(count, (task + 1) * kPerTask);
      for (size_t i = task * kPerTask; i < end; ++i) work(i);
    });
  }

  // False when nothing was joined. Borders that may not vanish are marked by a length below 0.
  bool join_round() {
    priorities_.resize(borders_.size());
    for_all(borders_.size(), [&](size_t i) { best_[borders_[i].first] = best_[borders_[i].second] = kNever; });
    for_all(borders_.size(), [&](size_t i) {
      Border& b = borders_[i];
      priorities_[i] = priority(joined(clusters_[b.first], clusters_[b.second], b.length), static_cast<uint32_t>(i));
      keep_least(best_[b.first], priorities_[i]);
      keep_least(best_[b.second], priorities_[i]);
    });
    std::atomic<bool> any{false};
    for_all(borders_.size(), [&](size_t i) {
      Border& b = borders_[i];
      if (priorities_[i] == kNever) {
        b.length = -1;
      } else if (best_[b.first] == priorities_[i] && best_[b.second] == priorities_[i]) {
        clusters_[b.first] = joined(clusters_[b.first], clusters_[b.second], b.length);
        into_[b.second] = b.first;
        any = true;
      }
    });
    return any;
  }

  // Borders between the joined clusters, one for each pair, in order.
  void regroup() {
    const size_t count = clusters_.size();
    std::vector<uint32_t> begin(count + 1);
    size_t kept = 0;
    for (Border b : borders_) {
      if (b.length < 0) continue;
      const auto [low, high] = std::minmax(into_[b.first], into_[b.second]);
      if (low == high) continue;
      borders_[kept++] = {low, high, b.length};
      ++begin[low + 1];
    }
    borders_.resize(kept);
    for (size_t i = 1; i <= count; ++i) begin[i] += begin[i - 1];
    grouped_.resize(kept);
    std::vector<uint32_t> next(begin.begin(), begin.end() - 1);
    for (const Border& b : borders_) grouped_[next[b.first]++] = b;
    for_all(count, [&](size_t i) { combine(std::span(grouped_).subspan(begin[i], begin[i + 1] - begin[i])); });
    std::erase_if(grouped_, [](const Border& b) { return b.first == b.second; });
    borders_.swap(grouped_);
  }

  // Adds up equal pairs; what is left over joins a cluster with itself.
  static void combine(std::span<Border> same_first) {
    std::stable_sort(same_first.begin(), same_first.end(),
                     [](const Border& a, const Border& b) { return a.second < b.second; });
    size_t kept = 0;
    for (size_t i = 1; i < same_first.size(); ++i) {
      if (same_first[i].second == same_first[kept].second) {
        same_first[kept].length += same_first[i].length;
      } else {
        same_first[++kept] = same_first[i];
      }
    }
    for (size_t i = kept + 1; i < same_first.size(); ++i) same_first[i].second = same_first[i].first;
  }

  Clusters result() {
    Clusters out;
    out.of_triangle.resize(into_.size());
    for (size_t t = 0; t < into_.size(); ++t) {
      // A cluster joins one of a lower number.
      out.of_triangle[t] = into_[t] == t ? static_cast<uint32_t>(out.count++) : out.of_triangle[into_[t]];
    }
    return out;
  }

  int threads_;
  std::vector<Border> borders_, grouped_;  // between clusters, which their lowest triangles stand for
  std::vector<Cluster> clusters_;          // by triangle; outdated where it does not stand for its cluster
  std::vector<uint32_t> into_;             // by triangle: the one that stood for its cluster when it was joined
  std::vector<std::atomic<uint64_t>> best_;
  std::vector<uint64_t> priorities_;
};

}  // namespace

Clusters cluster_triangles(const mesh::Surface& surface, int threads) { return Clustering(surface, threads).run(); }

}  // namespace espalier::bake
