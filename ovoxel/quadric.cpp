#include "ovoxel/quadric.h"

namespace espalier::ovoxel::internal {

using Eigen::Matrix3f;
using Eigen::Matrix4f;
using Eigen::Vector3f;

Matrix4f Quadric::matrix() const {
  Matrix4f m;
  m << q[0], q[1], q[2], q[3], q[1], q[4], q[5], q[6], q[2], q[5], q[7], q[8], q[3], q[6], q[8], q[9];
  return m;
}

Vector3f unit_normal(const std::array<mesh::Vec3, 3>& t) {
  const Vector3f v0(t[0].data()), v1(t[1].data()), v2(t[2].data());
  const Vector3f e0 = v1 - v0, e1 = v2 - v1;
  return e0.cross(e1).normalized();
}

Quadric plane_quadric(const Vector3f& normal, const mesh::Vec3& point) {
  const float p[4] = {normal[0], normal[1], normal[2], -normal.dot(Vector3f(point.data()))};
  Quadric out;
  size_t k = 0;
  for (int i = 0; i < 4; ++i) {
    for (int j = i; j < 4; ++j) out.q[k++] = p[i] * p[j];
  }
  return out;
}

Quadric line_quadric(const Eigen::Vector3d& direction, const mesh::Vec3& point) {
  const Vector3f a(point.data());
  const Matrix3f m = Matrix3f::Identity() - (direction * direction.transpose()).cast<float>();
  const Vector3f b = -(m * a);
  const float c = a.dot(m * a);
  return {{m(0, 0), m(0, 1), m(0, 2), b[0], m(1, 1), m(1, 2), b[1], m(2, 2), b[2], c}};
}

Quadric point_quadric(const Vector3f& m) { return {{1, 0, 0, -m[0], 1, 0, -m[1], 1, -m[2], m.dot(m)}}; }

}  // namespace espalier::ovoxel::internal
