#include "bake/pack.h"

#include <algorithm>
#include <atomic>
#include <climits>
#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "common/parallel.h"

namespace espalier::bake {
namespace {

constexpr int kColumns = 1024;           // of the horizon at most
constexpr int kTrials = 8;               // scales tried at once
constexpr double kCoarseStep = 0.87;     // between them at first
constexpr double kSmallestScale = 1e-4;  // of the one that would fill the whole texture

// The outline of a chart from below and above, column by column, with half the gap around it.
struct Outline {
  std::vector<int> low, high;  // texels; low <= high
  int top = 0;                 // the largest of `high`
};

class Packer {
 public:
  Packer(std::span<const Chart> charts, int size)
      : charts_(charts),
        size_(size),
        column_((size + kColumns - 1) / kColumns),
        columns_(size / column_),
        margin_(chart_gap(size) / 2.0),
        order_(charts.size()) {
    std::iota(order_.begin(), order_.end(), size_t{0});
    std::stable_sort(order_.begin(), order_.end(),
                     [&](size_t a, size_t b) { return charts[a].extent[1] > charts[b].extent[1]; });
  }

  // Whether all charts fit; `places` are then theirs. Gives up when `needed` says no.
  template <class Needed>
  bool try_scale(double scale, const Needed& needed, std::vector<TexelPoint>& places) const {
    places.resize(charts_.size());
    std::vector<int> horizon(static_cast<size_t>(columns_));
    std::vector<int> depth;
    for (const size_t i : order_) {
      if (!needed()) return false;
      const Outline outline = outline_of(charts_[i], scale);
      const int left = static_cast<int>(outline.low.size()) > columns_ ? -1 : lowest_place(horizon, outline, depth);
      if (left < 0 || depth[static_cast<size_t>(left)] + outline.top > size_) return false;
      const int down = depth[static_cast<size_t>(left)];
      for (size_t c = 0; c < outline.low.size(); ++c) {
        int& height = horizon[static_cast<size_t>(left) + c];
        height = std::max(height, down + outline.high[c]);
      }
      places[i] = {left * column_ + margin_, down + margin_};
    }
    return true;
  }

 private:
  Outline outline_of(const Chart& chart, double scale) const {
    Outline out;
    const auto count = static_cast<size_t>((scale * chart.extent[0] + 2 * margin_) / column_) + 1;
    out.low.assign(count, INT_MAX);
    out.high.assign(count, 0);
    for (const mesh::Triangle& t : chart.triangles) {
      for (size_t k = 0; k < 3; ++k) add_edge(chart.points[t[k]], chart.points[t[(k + 1) % 3]], scale, out);
    }
    out.top = *std::max_element(out.high.begin(), out.high.end());
    return out;
  }

  // The square of the margin moved along an edge, in the chart's own texels shifted by the margin.
  void add_edge(TexelPoint a, TexelPoint b, double scale, Outline& out) const {
    if (b[0] < a[0]) std::swap(a, b);
    const double ax = a[0] * scale, bx = b[0] * scale, ay = a[1] * scale, by = b[1] * scale;
    const double slope = bx > ax ? (by - ay) / (bx - ax) : 0;
    const auto last = std::min(out.low.size() - 1, static_cast<size_t>((bx + 2 * margin_) / column_));
    for (auto c = static_cast<size_t>(ax / column_); c <= last; ++c) {
      const double from = std::clamp(static_cast<double>(c) * column_ - 2 * margin_, ax, bx);
      const double to = std::clamp(static_cast<double>(c + 1) * column_, ax, bx);
      const double y0 = bx > ax ? ay + (from - ax) * slope : ay, y1 = bx > ax ? ay + (to - ax) * slope : by;
      out.low[c] = std::min(out.low[c], static_cast<int>(std::min(y0, y1)));
      out.high[c] = std::max(out.high[c], static_cast<int>(std::max(y0, y1) + 2 * margin_) + 1);
    }
  }

  // The column where the chart sinks lowest, the first of several; `depth` is how far it sinks in each.
  static int lowest_place(const std::vector<int>& horizon, const Outline& outline, std::vector<int>& depth) {
    const size_t width = outline.low.size(), places = horizon.size() - width + 1;
    depth.assign(places, 0);
    for (size_t c = 0; c < width; ++c) {
      const int low = outline.low[c];
      const int* under = horizon.data() + c;
      for (size_t x = 0; x < places; ++x) depth[x] = std::max(depth[x], under[x] - low);
    }
    return static_cast<int>(std::min_element(depth.begin(), depth.end()) - depth.begin());
  }

  std::span<const Chart> charts_;
  int size_, column_, columns_;
  double margin_;
  std::vector<size_t> order_;  // tall charts first
};

double area_of(std::span<const Chart> charts) {
  double sum = 0;
  for (const Chart& chart : charts) {
    for (const mesh::Triangle& t : chart.triangles) {
      sum += std::abs(edge_side(chart.points[t[0]], chart.points[t[1]], chart.points[t[2]])) / 2;
    }
  }
  return sum;
}

// The first of the scales, which fall, that fits; their number when none does.
size_t first_that_fits(const Packer& packer, const std::vector<double>& scales, int threads,
                       const std::stop_token& stop, Packing& packing) {
  std::vector<std::vector<TexelPoint>> places(scales.size());
  std::atomic<size_t> first{scales.size()};
  parallel_for(scales.size(), worker_count(threads, scales.size()), [&](size_t i, int) {
    const auto needed = [&] { return i < first && !stop.stop_requested(); };
    if (!packer.try_scale(scales[i], needed, places[i])) return;
    for (size_t seen = first; i < seen && !first.compare_exchange_weak(seen, i);) {
    }
  });
  if (first < scales.size()) packing = {scales[first], std::move(places[first])};
  return first;
}

}  // namespace

int chart_gap(int texture_size) { return std::max(2, 1 + texture_size / 1024); }

Result<Packing> pack(std::span<const Chart> charts, int texture_size, int threads, const std::stop_token& stop) {
  const double area = area_of(charts);
  if (!(area > 0)) return absl::InvalidArgumentError("the surface has no area");
  const double full = texture_size / std::sqrt(area);
  const Packer packer(charts, texture_size);
  Packing packing;
  std::vector<double> scales(kTrials);
  double above = full;  // a scale that does not fit, or just so
  for (size_t found = kTrials; found == kTrials;) {
    if (stop.stop_requested()) return absl::CancelledError("stopped");
    if (above < full * kSmallestScale) {
      return absl::InvalidArgumentError(absl::StrCat("texture_size ", texture_size, " has no room for ", charts.size(),
                                                     " charts; take a larger texture or fewer triangles"));
    }
    for (double& scale : scales) scale = above *= kCoarseStep;
    found = first_that_fits(packer, scales, threads, stop, packing);
  }
  const double low = packing.texels_per_unit;
  for (int i = 0; i < kTrials; ++i)
    scales[static_cast<size_t>(i)] = low * (1 + (1 / kCoarseStep - 1) * (kTrials - i) / (kTrials + 1));
  first_that_fits(packer, scales, threads, stop, packing);
  if (stop.stop_requested()) return absl::CancelledError("stopped");
  return packing;
}

}  // namespace espalier::bake
