#include "ovoxel/face_cells.h"

namespace espalier::ovoxel::internal {
namespace {

using Eigen::Vector3f;

// Largest sum of relative rounding errors in the plane test.
constexpr double kRounding = 1e-6;

}  // namespace

FaceCells::FaceCells(const std::array<mesh::Vec3, 3>& t, const Vector3f& n, const Grid& grid)
    : normal_(n), h_(grid.voxel_size.data()) {
  const Vector3f v[3] = {Vector3f(t[0].data()), Vector3f(t[1].data()), Vector3f(t[2].data())};
  const Vector3f c(n[0] > 0 ? h_[0] : 0.0f, n[1] > 0 ? h_[1] : 0.0f, n[2] > 0 ? h_[2] : 0.0f);
  d1_ = n.dot(c - v[0]);
  d2_ = n.dot(h_ - c - v[0]);
  for (int a = 0; a < 3; ++a) {
    const int b = (a + 1) % 3;
    const float sign = n[(a + 2) % 3] < 0 ? -1.0f : 1.0f;
    for (int e = 0; e < 3; ++e) {
      const Vector3f edge = v[(e + 1) % 3] - v[e];
      Edge& out = edges_[a][e];
      out.u = -sign * edge[b];
      out.v = sign * edge[a];
      out.d = -(out.u * v[e][a] + out.v * v[e][b]) + (std::max(0.0f, out.u) * h_[a] + std::max(0.0f, out.v) * h_[b]);
    }
  }
  n.cwiseAbs().maxCoeff(&along_);
  const int i = (along_ + 1) % 3, j = (along_ + 2) % 3;
  const double step = double{n[along_]} * h_[along_];
  slope_ = {-double{n[i]} * h_[i] / step, -double{n[j]} * h_[j] / step};
  const double far = std::abs(d1_) + std::abs(d2_) + std::abs(h_[0]) * grid.size[0] + std::abs(h_[1]) * grid.size[1] +
                     std::abs(h_[2]) * grid.size[2];
  const double slack = 1 + far * kRounding / std::abs(step);
  lowest_ = std::min(-d1_ / step, -d2_ / step) - slack;
  highest_ = std::max(-d1_ / step, -d2_ / step) + slack;
}

}  // namespace espalier::ovoxel::internal
