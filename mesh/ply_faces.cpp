#include "mesh/ply_faces.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace espalier::mesh::internal::ply {

bool Faces::usable(std::span<const double> corners) {
  const auto drop = [&](ImportError error, const std::string& what) {
    tally_.drop(error, tally_.dropped() > 0 ? std::string() : absl::StrCat("face ", rows_, ": ", what));
    return false;
  };
  if (corners.size() < 3) return drop(ImportError::kUnreadable, "has fewer than three corners");
  if (corners.size() > kMaxPolygon) {
    return drop(ImportError::kUnreadable, absl::StrCat("has more than ", kMaxPolygon, " corners"));
  }
  places_.clear();
  for (const double corner : corners) {
    if (!(corner >= 0) || corner >= static_cast<double>(vertices_)) {
      return drop(ImportError::kUnreadable, absl::StrCat("refers to vertex ", corner, " of ", vertices_));
    }
    if (mesh_.positions.empty()) continue;
    places_.push_back(mesh_.positions[static_cast<size_t>(corner)]);
    if (!usable_position(places_.back())) {
      return drop(ImportError::kNonfiniteGeometry, "has a corner that is not a number within 1e9");
    }
  }
  tally_.keep();
  return true;
}

Status Faces::polygon(const std::vector<double>& corners) {
  ++rows_;
  if (!usable(corners)) return absl::OkStatus();
  places_.resize(corners.size());  // not known yet: all the same, a fan
  for (const Triangle& t : cutter_.cut(places_)) {
    Triangle& out = mesh_.triangles.emplace_back();
    for (size_t k = 0; k < 3; ++k) out[k] = static_cast<uint32_t>(corners[t[k]]);
  }
  return check_limit();
}

Status Faces::strip_corner(double corner) {
  if (corner < 0) {
    end_strip();
    return absl::OkStatus();
  }
  if (strip_.size() == 3) strip_.erase(strip_.begin());
  strip_.push_back(corner);
  if (strip_.size() < 3) return absl::OkStatus();
  const bool turned = turn_;
  turn_ = !turn_;
  // Strips repeat a corner to turn around or to jump.
  if (strip_[0] == strip_[1] || strip_[1] == strip_[2] || strip_[2] == strip_[0]) return absl::OkStatus();
  ++rows_;
  if (!usable(strip_)) return absl::OkStatus();
  Triangle& out = mesh_.triangles.emplace_back();
  for (size_t k = 0; k < 3; ++k) out[k] = static_cast<uint32_t>(strip_[k]);
  if (turned) std::swap(out[0], out[1]);
  return check_limit();
}

}  // namespace espalier::mesh::internal::ply
