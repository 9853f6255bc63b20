#pragma once

#include <Eigen/Dense>
#include <array>

#include "mesh/scene.h"

// Quadric error functions of the dual grid; not for other folders. All float32, in the reference's operation order.
namespace espalier::ovoxel::internal {

// A symmetric 4x4 matrix, upper triangle by rows: 00 01 02 03 11 12 13 22 23 33.
struct Quadric {
  std::array<float, 10> q{};

  void add(const Quadric& other) {
    for (size_t i = 0; i < q.size(); ++i) q[i] += other.q[i];
  }
  void add(const Quadric& other, float weight) {
    for (size_t i = 0; i < q.size(); ++i) q[i] += weight * other.q[i];
  }
  Eigen::Matrix4f matrix() const;
};

Eigen::Vector3f unit_normal(const std::array<mesh::Vec3, 3>& triangle);

// Squared distance to the plane through `point`; zero for a zero normal.
Quadric plane_quadric(const Eigen::Vector3f& normal, const mesh::Vec3& point);

// Squared distance to the line through `point` along the unit vector `direction`.
Quadric line_quadric(const Eigen::Vector3d& direction, const mesh::Vec3& point);

// Squared distance to `point`.
Quadric point_quadric(const Eigen::Vector3f& point);

}  // namespace espalier::ovoxel::internal
