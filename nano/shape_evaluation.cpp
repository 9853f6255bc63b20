#include "nano/shape_evaluation.h"

#include <ATen/ATen.h>
#include <torch/types.h>

#include <array>
#include <vector>

#include "nano/evaluation.h"
#include "ovoxel/dual_mesh.h"

namespace espalier::nano {
namespace {

// Rows of voxels [M, 3] on a grid: int64 [R, R, R], 0 where there is none, else the row plus 1.
at::Tensor row_grid(const at::Tensor& coords, int resolution) {
  const at::Tensor c = coords.to(at::kLong);
  const at::Tensor flat = (c.select(1, 0) * resolution + c.select(1, 1)) * resolution + c.select(1, 2);
  at::Tensor rows = at::zeros({int64_t{resolution} * resolution * resolution}, at::TensorOptions(at::kLong));
  rows.index_put_({flat}, at::arange(1, c.size(0) + 1));
  return rows.view({resolution, resolution, resolution});
}

at::Tensor flag_bits(const at::Tensor& flags) {  // [T] uint8 -> [T, 3] bool
  const at::Tensor bytes = flags.unsqueeze(1);
  return at::cat({bytes.bitwise_and(1), bytes.bitwise_and(2), bytes.bitwise_and(4)}, 1) > 0;
}

template <class T>
std::vector<std::array<T, 3>> triples(const at::Tensor& rows) {  // [M, 3] of type T
  const at::Tensor own = rows.contiguous();
  std::vector<std::array<T, 3>> list(static_cast<size_t>(own.size(0)));
  const T* data = own.const_data_ptr<T>();
  for (size_t i = 0; i < list.size(); ++i) list[i] = {data[3 * i], data[3 * i + 1], data[3 * i + 2]};
  return list;
}

}  // namespace

DecodedShape decoded_shape(const nn::ScVaeDecoder& decoder, const nn::SparseTensor& latent, int resolution) {
  const at::NoGradGuard no_grad;
  const nn::SparseTensor voxels = decoder.forward(latent).voxels;
  return {voxels.coords.narrow(1, 1, 3), nn::decoded_dual_grid(voxels.feats, decoder.config().voxel_margin),
          resolution};
}

GridAgreement grid_agreement(const DecodedShape& got, const ShapeGrid& want) {
  const at::Tensor got_rows = row_grid(got.coords, got.resolution), want_rows = row_grid(want.coords, got.resolution);
  const at::Tensor got_cells = (got_rows > 0).unsqueeze(0), want_cells = (want_rows > 0).unsqueeze(0);
  const at::Tensor both = (got_cells & want_cells).squeeze(0);
  const at::Tensor ours = got_rows.masked_select(both) - 1, theirs = want_rows.masked_select(both) - 1;
  GridAgreement result;
  result.f1 = 2.0 * static_cast<double>(ours.size(0)) / static_cast<double>(got.coords.size(0) + want.voxels());
  result.f1_within_one = f1_within_one(got_cells, want_cells).item<double>();
  if (ours.size(0) == 0) return result;
  const at::Tensor right = got.grid.intersected.index_select(0, ours).eq(flag_bits(want.flags.index_select(0, theirs)));
  result.flags = right.to(at::kFloat).mean().item<double>();
  const at::Tensor apart =
      got.grid.vertices.index_select(0, ours) - want.vertices.index_select(0, theirs).to(at::kFloat) / 255;
  result.vertex_distance = apart.norm(2, {1}).mean().item<double>();
  return result;
}

Result<mesh::Surface> extracted_surface(const DecodedShape& shape) {
  const auto voxels = triples<int32_t>(shape.coords);
  const auto vertices = triples<float>(shape.grid.vertices);
  const at::Tensor bits = shape.grid.intersected.to(at::kByte);
  const at::Tensor packed = (bits.select(1, 0) + bits.select(1, 1) * 2 + bits.select(1, 2) * 4).contiguous();
  const at::Tensor weights = shape.grid.split_weight.flatten().contiguous();
  const ovoxel::DualGridView view{voxels,
                                  vertices,
                                  {packed.const_data_ptr<uint8_t>(), voxels.size()},
                                  {weights.const_data_ptr<float>(), voxels.size()}};
  return ovoxel::dual_mesh(view, ovoxel::Grid::cube(shape.resolution), /*threads=*/1);
}

Result<mesh::Surface> extracted_surface(const ShapeGrid& grid, int resolution) {
  const auto voxels = triples<int32_t>(grid.coords.to(at::kInt));
  const auto vertices = triples<float>(grid.vertices.to(at::kFloat) / 255);
  const at::Tensor flags = grid.flags.contiguous();
  const ovoxel::DualGridView view{voxels, vertices, {flags.const_data_ptr<uint8_t>(), voxels.size()}, {}};
  return ovoxel::dual_mesh(view, ovoxel::Grid::cube(resolution), /*threads=*/1);
}

}  // namespace espalier::nano
