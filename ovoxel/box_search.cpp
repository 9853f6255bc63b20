#include "ovoxel/box_search.h"

#include <limits>

namespace espalier::ovoxel::internal {
namespace {

using Eigen::Matrix2f;
using Eigen::Matrix3f;
using Eigen::Matrix4f;
using Eigen::Vector2f;
using Eigen::Vector3f;
using Eigen::Vector4f;

// Keeps the candidate with the strictly smallest error; the first of equals wins.
class BoxSearch {
 public:
  BoxSearch(const Matrix4f& q, const Vector3f& low, const Vector3f& high, const Vector3f& start)
      : q_(q), bounds_{low, high}, best_(start) {}

  Vector3f search() {
    for (int axis = 0; axis < 3; ++axis) {
      for (int side = 0; side < 2; ++side) face(axis, side);
    }
    for (int axis = 0; axis < 3; ++axis) {
      for (int corner = 0; corner < 4; ++corner) edge(axis, corner / 2, corner % 2);
    }
    for (int corner = 0; corner < 8; ++corner) {
      consider({bounds_[corner & 4 ? 0 : 1][0], bounds_[corner & 2 ? 0 : 1][1], bounds_[corner & 1 ? 0 : 1][2]});
    }
    return best_;
  }

 private:
  bool within(float value, int axis) const { return value >= bounds_[0][axis] && value <= bounds_[1][axis]; }

  void consider(const Vector3f& point) {
    const Vector4f p(point[0], point[1], point[2], 1.0f);
    const float error = p.transpose() * q_ * p;
    if (error < error_) {
      error_ = error;
      best_ = point;
    }
  }

  void face(int axis, int side) {
    const int u = (axis + 1) % 3, v = (axis + 2) % 3;
    const float fixed = bounds_[side][axis];
    Matrix2f a;
    a << q_(u, u), q_(u, v), q_(v, u), q_(v, v);
    const Vector2f b(-(q_(u, axis) * fixed + q_(u, 3)), -(q_(v, axis) * fixed + q_(v, 3)));
    const Vector2f solution = a.colPivHouseholderQr().solve(b);
    if (!within(solution[0], u) || !within(solution[1], v)) return;
    Vector3f point;
    point[axis] = fixed;
    point[u] = solution[0];
    point[v] = solution[1];
    consider(point);
  }

  void edge(int axis, int side_u, int side_v) {
    const int u = (axis + 1) % 3, v = (axis + 2) % 3;
    Vector3f point;
    point[u] = bounds_[side_u][u];
    point[v] = bounds_[side_v][v];
    const Vector3f b(q_(axis, u), q_(axis, v), q_(axis, 3));
    const Vector3f fixed(point[u], point[v], 1.0f);
    point[axis] = -b.dot(fixed) / q_(axis, axis);
    if (within(point[axis], axis)) consider(point);
  }

  const Matrix4f& q_;
  const Vector3f bounds_[2];
  Vector3f best_;
  float error_ = std::numeric_limits<float>::infinity();
};

}  // namespace

mesh::Vec3 minimize_in_box(const Quadric& quadric, const Box& box) {
  const Vector3f low(box.low.data()), high(box.high.data());
  const Matrix4f q = quadric.matrix();
  const Matrix3f a = q.topLeftCorner<3, 3>();
  const Vector3f b = -q.block<3, 1>(0, 3);
  const Vector3f v = a.colPivHouseholderQr().solve(b);
  const bool inside =
      v[0] >= low[0] && v[0] <= high[0] && v[1] >= low[1] && v[1] <= high[1] && v[2] >= low[2] && v[2] <= high[2];
  const Vector3f best = inside ? v : BoxSearch(q, low, high, v).search();
  return {best[0], best[1], best[2]};
}

}  // namespace espalier::ovoxel::internal
