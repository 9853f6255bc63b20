#include "nano/random_shapes.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "mesh/normalize.h"
#include "nano/objects.h"
#include "nano/paint.h"
#include "ovoxel/dual_mesh.h"

namespace espalier::nano {
namespace {

constexpr uint32_t kShapeStream = 0x5a9f;  // apart from the objects' own streams and those of the occupancies
constexpr uint32_t kPaintStream = 0x5aa0;
constexpr int kFieldSide = 64;

std::array<mesh::Vec3, 3> random_rotation(PhiloxStream& random) {  // row by row
  std::array<double, 4> q{};
  double norm = 0;
  for (double& value : q) {
    value = random.normal();
    norm += value * value;
  }
  for (double& value : q) value /= std::sqrt(norm);
  const auto [w, x, y, z] = q;
  const auto f = [](double v) { return static_cast<float>(v); };
  return {{{f(1 - 2 * (y * y + z * z)), f(2 * (x * y - w * z)), f(2 * (x * z + w * y))},
           {f(2 * (x * y + w * z)), f(1 - 2 * (x * x + z * z)), f(2 * (y * z - w * x))},
           {f(2 * (x * z - w * y)), f(2 * (y * z + w * x)), f(1 - 2 * (x * x + y * y))}}};
}

// The field at the corners of the cells; outside the cube there is nothing.
class Corners {
 public:
  Corners(const RandomField& field, int side) : count_(side + 1) {
    for (int x = 0; x < count_; ++x) {
      for (int y = 0; y < count_; ++y) {
        for (int z = 0; z < count_; ++z) values_.push_back(value(field, {x, y, z}, side));
      }
    }
  }
  double at(const ovoxel::Voxel& corner) const {
    return values_[(static_cast<size_t>(corner[0]) * count_ + corner[1]) * count_ + corner[2]];
  }

 private:
  static double value(const RandomField& field, const ovoxel::Voxel& corner, int side) {
    std::array<double, 3> p{};
    for (int axis = 0; axis < 3; ++axis) {
      if (corner[axis] == 0 || corner[axis] == side) return -1;
      p[axis] = static_cast<double>(corner[axis]) / side - 0.5;
    }
    return field(p);
  }

  int count_;
  std::vector<double> values_;
};

// A cell through which the surface goes: the mean of the points where it crosses the cell's edges, and which of the
// three edges at the cell's far side it crosses.
struct Crossing {
  int edges = 0;
  mesh::Vec3 sum{};
  uint8_t far_edges = 0;

  void add_edge(const Corners& corners, const ovoxel::Voxel& cell, int axis, const std::array<int, 2>& side) {
    ovoxel::Voxel low{};
    low[(axis + 1) % 3] = side[0];
    low[(axis + 2) % 3] = side[1];
    ovoxel::Voxel from = cell;
    for (int i = 0; i < 3; ++i) from[i] += low[i];
    ovoxel::Voxel to = from;
    ++to[axis];
    const double a = corners.at(from), b = corners.at(to);
    if ((a > 0) == (b > 0)) return;
    ++edges;
    for (int i = 0; i < 3; ++i) sum[i] += static_cast<float>(i == axis ? a / (a - b) : low[i]);
    if (side[0] == 1 && side[1] == 1) far_edges |= static_cast<uint8_t>(1 << axis);
  }
};

Crossing crossing(const Corners& corners, const ovoxel::Voxel& cell) {
  Crossing result;
  for (int axis = 0; axis < 3; ++axis) {
    for (int edge = 0; edge < 4; ++edge) result.add_edge(corners, cell, axis, {edge & 1, edge >> 1});
  }
  return result;
}

}  // namespace

Status rotate_at_random(mesh::Scene& scene, PhiloxStream& random) {
  const auto rows = random_rotation(random);
  for (mesh::Mesh& mesh : scene.meshes) {
    for (mesh::Vec3& p : mesh.positions) {
      const mesh::Vec3 old = p;
      for (int i = 0; i < 3; ++i) p[i] = rows[i][0] * old[0] + rows[i][1] * old[1] + rows[i][2] * old[2];
    }
  }
  return mesh::normalize(scene).status();
}

RandomField::RandomField(PhiloxStream& random) {
  const double frequency = random.uniform(0.5, 1.8);  // periods per cube
  for (auto& wave : waves_) {
    double norm = 0;
    for (int axis = 0; axis < 3; ++axis) norm += std::pow(wave[axis] = random.normal(), 2);
    for (int axis = 0; axis < 3; ++axis) wave[axis] *= 2 * M_PI * frequency / std::sqrt(norm);
    wave[3] = random.uniform(0, 2 * M_PI);
    wave[4] = random.uniform(0.3, 1);
  }
  level_ = random.uniform(-0.8, 0.8);
  radius_ = random.uniform(0.42, 0.7);
}

double RandomField::operator()(const std::array<double, 3>& p) const {
  constexpr double kBallSteepness = 8;  // of the order of the waves' own, so that the cut is as smooth
  double value = -level_;
  for (const auto& w : waves_) value += w[4] * std::sin(w[0] * p[0] + w[1] * p[1] + w[2] * p[2] + w[3]);
  return std::min(value, kBallSteepness * (radius_ - std::hypot(p[0], p[1], p[2])));
}

Result<mesh::Mesh> surface_of(const RandomField& field, int side) {
  const Corners corners(field, side);
  std::vector<ovoxel::Voxel> voxels;
  std::vector<mesh::Vec3> vertices;
  std::vector<uint8_t> far_edges;
  for (int i = 0; i < side * side * side; ++i) {
    const ovoxel::Voxel cell{i / (side * side), i / side % side, i % side};
    const Crossing found = crossing(corners, cell);
    if (found.edges == 0) continue;
    voxels.push_back(cell);
    far_edges.push_back(found.far_edges);
    mesh::Vec3 mean = found.sum;
    for (float& value : mean) value /= static_cast<float>(found.edges);
    vertices.push_back(mean);
  }
  ESP_ASSIGN(mesh::Surface surface,
             ovoxel::dual_mesh({voxels, vertices, far_edges, {}}, ovoxel::Grid::cube(side), /*threads=*/1));
  mesh::Mesh mesh;
  mesh.positions = std::move(surface.positions);
  mesh.triangles = std::move(surface.triangles);
  mesh.material_ids.assign(mesh.triangles.size(), -1);
  return mesh;
}

Result<mesh::Scene> random_shape(uint64_t seed, uint32_t index) {
  PhiloxStream random(seed, index, kShapeStream);
  mesh::Scene scene;
  if (index % 4 != 3) {
    // Every fourth index is a field, so the round of families is walked by its own counter.
    scene = make_object(seed, index / 4 * 3 + index % 4).scene;
    if (index % 4 != 0) ESP_TRY(rotate_at_random(scene, random));
    return scene;
  }
  do {  // a field may have no inside
    ESP_ASSIGN(mesh::Mesh mesh, surface_of(RandomField(random), kFieldSide));
    scene.meshes.assign(1, std::move(mesh));
  } while (scene.meshes.front().triangles.empty());
  ESP_TRY(mesh::normalize(scene).status());
  return scene;
}

Result<mesh::Scene> random_painted_shape(uint64_t seed, uint32_t index) {
  ESP_ASSIGN(mesh::Scene scene, random_shape(seed, index));
  PhiloxStream random(seed, index, kPaintStream);
  paint_at_random(scene, random);
  return scene;
}

}  // namespace espalier::nano
