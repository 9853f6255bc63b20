#include "bake/textures.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <span>

#include "bake/fill.h"
#include "bake/texel_cover.h"
#include "common/parallel.h"

namespace espalier::bake {
namespace {

constexpr double kReach = 1.5;  // texels: the four of a bilinear lookup are nearer
constexpr int kRowsPerBand = 16;
constexpr uint8_t kTranslucentBelow = 250;
constexpr uint32_t kNobody = UINT32_MAX;

// A triangle of the mesh, moved by whole textures.
struct Placed {
  uint32_t triangle;
  int right, down;
};

class TextureBaker {
 public:
  explicit TextureBaker(const TextureJob& job)
      : job_(job), size_(static_cast<size_t>(job.size)), bands_((size_ + kRowsPerBand - 1) / kRowsPerBand) {
    out_.color = {job.size, job.size, 4, std::vector<uint8_t>(size_ * size_ * 4)};
    out_.metallic_roughness = {job.size, job.size, 3, std::vector<uint8_t>(size_ * size_ * 3)};
    filled_.resize(size_ * size_);
    place_triangles();
  }

  Result<Textures> run() {
    std::atomic<size_t> done{0}, texels{0}, unfilled{0}, translucent{0};
    parallel_for(bands_, worker_count(job_.threads, bands_), [&](size_t band, int worker) {
      if (job_.stop.stop_requested()) return;
      const Counts counts = bake_band(band);
      texels += counts.texels, unfilled += counts.unfilled, translucent += counts.translucent;
      ++done;
      if (worker == 0 && job_.progress) job_.progress(static_cast<double>(done) / static_cast<double>(bands_));
    });
    if (job_.stop.stop_requested()) return absl::CancelledError("stopped");
    out_.texels = texels, out_.unfilled = unfilled, out_.translucent = translucent;
    if (std::find(filled_.begin(), filled_.end(), 1) == filled_.end()) {
      return absl::InvalidArgumentError("there is no voxel near the surface");
    }
    fill_gaps(out_.color, filled_, job_.threads);
    fill_gaps(out_.metallic_roughness, filled_, job_.threads);
    return std::move(out_);
  }

 private:
  struct Counts {
    size_t texels = 0, unfilled = 0, translucent = 0;
  };

  // Who has each texel of a band, and how far away it is, squared.
  struct Owners {
    std::vector<uint32_t> placed;
    std::vector<double> away2;
  };

  TexelTriangle corners(const Placed& placed) const {
    TexelTriangle out;
    const mesh::Triangle& t = job_.mesh.triangles[placed.triangle];
    for (size_t k = 0; k < 3; ++k) {
      out[k] = {double{job_.mesh.uvs[t[k]][0]} * job_.size + placed.right,
                double{job_.mesh.uvs[t[k]][1]} * job_.size + placed.down};
    }
    return out;
  }

  // The shifts by whole textures that bring low..high into sight.
  std::array<int, 2> shifts(double low, double high) const {
    const int size = job_.size;
    return {-static_cast<int>(std::floor((high + kReach) / size)) * size,
            -static_cast<int>(std::floor((low - kReach) / size)) * size};
  }

  void place_triangles() {
    for (uint32_t t = 0; t < job_.mesh.triangles.size(); ++t) {
      const TexelTriangle c = corners({t, 0, 0});
      const auto [left, right] = std::minmax({c[0][0], c[1][0], c[2][0]});
      const auto [top, bottom] = std::minmax({c[0][1], c[1][1], c[2][1]});
      const auto across = shifts(left, right), along = shifts(top, bottom);
      for (int y = along[0]; y <= along[1]; y += job_.size) {
        for (int x = across[0]; x <= across[1]; x += job_.size) placed_.push_back({t, x, y});
      }
    }
    sort_into_bands();
  }

  template <class Visit>
  void for_bands(const Placed& placed, const Visit& visit) const {
    const TexelTriangle c = corners(placed);
    const auto [top, bottom] = std::minmax({c[0][1], c[1][1], c[2][1]});
    const double last = static_cast<double>(bands_ - 1);
    const auto band = [&](double y) { return static_cast<size_t>(std::clamp(y / kRowsPerBand, 0.0, last)); };
    for (size_t b = band(top - kReach - 1); b <= band(bottom + kReach + 1); ++b) visit(b);
  }

  void sort_into_bands() {
    begin_.assign(bands_ + 1, 0);
    for (const Placed& p : placed_) for_bands(p, [&](size_t band) { ++begin_[band + 1]; });
    for (size_t b = 1; b <= bands_; ++b) begin_[b] += begin_[b - 1];
    in_band_.resize(begin_.back());
    std::vector<size_t> next(begin_.begin(), begin_.end() - 1);
    for (uint32_t i = 0; i < placed_.size(); ++i)
      for_bands(placed_[i], [&](size_t band) { in_band_[next[band]++] = i; });
  }

  Owners owners(size_t band, const TexelBox& box) const {
    Owners out;
    out.placed.assign(size_ * kRowsPerBand, kNobody);
    out.away2.assign(size_ * kRowsPerBand, kReach * kReach);
    const auto at = [&](int x, int y) { return static_cast<size_t>(y - box.y0) * size_ + static_cast<size_t>(x); };
    const auto mine = std::span(in_band_).subspan(begin_[band], begin_[band + 1] - begin_[band]);
    for (const uint32_t i : mine) {
      for_texels_inside(corners(placed_[i]), box, [&](int x, int y) {
        if (out.placed[at(x, y)] == kNobody) out.placed[at(x, y)] = i, out.away2[at(x, y)] = 0;
      });
    }
    for (const uint32_t i : mine) {
      const TexelTriangle c = corners(placed_[i]);
      for_texels_near(c, kReach, box, [&](int x, int y) {
        double& least = out.away2[at(x, y)];
        if (least == 0) return;
        const TexelPoint p{x + 0.5, y + 0.5}, near = weighted(c, closest_weights(c, p));
        const double away2 = (near[0] - p[0]) * (near[0] - p[0]) + (near[1] - p[1]) * (near[1] - p[1]);
        if (away2 < least) least = std::max(away2, std::numeric_limits<double>::min()), out.placed[at(x, y)] = i;
      });
    }
    return out;
  }

  Counts bake_band(size_t band) {
    const int first = static_cast<int>(band) * kRowsPerBand;
    const TexelBox box{0, first, job_.size, std::min(job_.size, first + kRowsPerBand)};
    const Owners owners = this->owners(band, box);
    Counts counts;
    uint32_t guess = 0;
    for (int y = box.y0; y < box.y1; ++y) {
      for (int x = 0; x < job_.size; ++x) {
        const size_t i = static_cast<size_t>(y - box.y0) * size_ + static_cast<size_t>(x);
        if (owners.placed[i] == kNobody) continue;
        const auto found = job_.volume.sample(place_of(placed_[owners.placed[i]], x, y, guess));
        if (found) store(x, y, *found);
        if (owners.away2[i] > 0) continue;
        ++counts.texels;
        counts.unfilled += !found;
        counts.translucent += found && out_.color.at(x, y)[3] < kTranslucentBelow;
      }
    }
    return counts;
  }

  // Where the texel's centre, or the point of the triangle nearest to it, is in space.
  mesh::Vec3 place_of(const Placed& placed, int x, int y, uint32_t& guess) const {
    const std::array<double, 3> w = closest_weights(corners(placed), {x + 0.5, y + 0.5});
    const mesh::Triangle& t = job_.mesh.triangles[placed.triangle];
    mesh::Vec3 place;
    for (size_t a = 0; a < 3; ++a) {
      place[a] = static_cast<float>(w[0] * job_.mesh.positions[t[0]][a] + w[1] * job_.mesh.positions[t[1]][a] +
                                    w[2] * job_.mesh.positions[t[2]][a]);
    }
    if (job_.reference == nullptr) return place;
    const mesh::ClosestPoint::Hit hit = job_.reference->find(place, guess);
    guess = hit.triangle;
    return hit.point;
  }

  // As the reference rounds: trunc(255 x).
  void store(int x, int y, const Attributes& values) {
    const auto byte = [](float v) { return static_cast<uint8_t>(255 * std::clamp(v, 0.0f, 1.0f)); };
    uint8_t* color = out_.color.at(x, y);
    for (size_t c = 0; c < 3; ++c) color[c] = byte(values[c]);
    color[3] = byte(values[5]);
    uint8_t* material = out_.metallic_roughness.at(x, y);
    material[1] = byte(values[4]);
    material[2] = byte(values[3]);
    filled_[static_cast<size_t>(y) * size_ + static_cast<size_t>(x)] = 1;
  }

  const TextureJob& job_;
  size_t size_, bands_;
  std::vector<Placed> placed_;
  std::vector<size_t> begin_;      // [bands + 1]
  std::vector<uint32_t> in_band_;  // of placed_, ascending in each band
  std::vector<uint8_t> filled_;    // by texel
  Textures out_;
};

}  // namespace

Result<Textures> bake_textures(const TextureJob& job) { return TextureBaker(job).run(); }

}  // namespace espalier::bake
