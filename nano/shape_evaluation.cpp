#include "nano/shape_evaluation.h"

#include <ATen/ATen.h>
#include <torch/types.h>

#include <cmath>

#include "nano/evaluation.h"
#include "nano/latent_kinds.h"
#include "ovoxel/dual_mesh.h"

namespace espalier::nano {
namespace {

// Of each cell of the grid, int64 [R, R, R]: 0 where there is no voxel, else its row plus 1.
at::Tensor rows_by_cell(const infer::DecodedShape& shape) {
  const int64_t side = shape.resolution;
  at::Tensor rows = at::zeros({side, side, side}, at::TensorOptions(at::kLong));
  auto cells = rows.accessor<int64_t, 3>();
  for (size_t i = 0; i < shape.voxels.size(); ++i) {
    const auto [x, y, z] = shape.voxels[i];
    cells[x][y][z] = static_cast<int64_t>(i) + 1;
  }
  return rows;
}

double distance(const mesh::Vec3& a, const mesh::Vec3& b) { return std::hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]); }

// Flags and vertices of the voxels in both.
void compare_common(const infer::DecodedShape& got, const infer::DecodedShape& want, const at::Tensor& want_rows,
                    GridAgreement& result) {
  const auto rows = want_rows.accessor<int64_t, 3>();
  size_t common = 0, right = 0;
  double apart = 0;
  for (size_t i = 0; i < got.voxels.size(); ++i) {
    const auto [x, y, z] = got.voxels[i];
    if (rows[x][y][z] == 0) continue;
    const auto row = static_cast<size_t>(rows[x][y][z] - 1);
    ++common;
    apart += distance(got.vertices[i], want.vertices[row]);
    const int differing = got.intersected[i] ^ want.intersected[row];
    for (int axis = 0; axis < 3; ++axis) right += (differing >> axis & 1) == 0 ? 1 : 0;
  }
  if (common == 0) return;
  const auto count = static_cast<double>(common);
  result.flags = static_cast<double>(right) / (3 * count);
  result.vertex_distance = apart / count;
  result.f1 = 2 * count / static_cast<double>(got.voxels.size() + want.voxels.size());
}

Result<mesh::Surface> extracted(const infer::DecodedShape& shape) {
  return ovoxel::dual_mesh(shape.view(), ovoxel::Grid::cube(shape.resolution), /*threads=*/1);
}

}  // namespace

infer::DecodedShape as_decoded(const VoxelGrid& grid, int resolution) {
  infer::DecodedShape shape;
  shape.resolution = resolution;
  const at::Tensor coords = grid.coords.to(at::kInt).contiguous();
  const at::Tensor vertices = (grid.values.narrow(1, 0, 3).to(at::kFloat) / 255).contiguous();
  const at::Tensor flags = grid.values.select(1, 3).contiguous();
  const auto* voxel = coords.const_data_ptr<int32_t>();
  const auto* vertex = vertices.const_data_ptr<float>();
  for (int64_t i = 0; i < grid.voxels(); ++i, voxel += 3, vertex += 3) {
    shape.voxels.push_back({voxel[0], voxel[1], voxel[2]});
    shape.vertices.push_back({vertex[0], vertex[1], vertex[2]});
  }
  shape.intersected.assign(flags.const_data_ptr<uint8_t>(), flags.const_data_ptr<uint8_t>() + grid.voxels());
  shape.split_weights.assign(shape.voxels.size(), 1);
  return shape;
}

Result<infer::DecodedShape> reconstructed(const nn::ScVaeEncoder& encoder, const nn::ScVaeDecoder& decoder,
                                          const VoxelGrid& grid, int resolution) {
  const at::NoGradGuard no_grad;
  const infer::ShapeLatent latent{encoder.forward(voxel_batch(kShape, {&grid, 1})).mean, resolution};
  return infer::decode_shape(decoder, latent, 0);
}

GridAgreement grid_agreement(const infer::DecodedShape& got, const infer::DecodedShape& want) {
  const at::Tensor got_rows = rows_by_cell(got), want_rows = rows_by_cell(want);
  GridAgreement result;
  result.f1_within_one = f1_within_one((got_rows > 0).unsqueeze(0), (want_rows > 0).unsqueeze(0)).item<double>();
  compare_common(got, want, want_rows, result);
  return result;
}

Result<evaluate::SurfaceAgreement> mesh_agreement(const infer::DecodedShape& got, const infer::DecodedShape& want) {
  ESP_ASSIGN(const mesh::Surface made, extracted(got));
  ESP_ASSIGN(const mesh::Surface wanted, extracted(want));
  return evaluate::surface_agreement(made, wanted);
}

}  // namespace espalier::nano
