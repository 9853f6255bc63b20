#include "tests/golden/decoded_mesh.h"

#include <torch/types.h>

#include "ovoxel/dual_mesh.h"
#include "tests/golden/ovoxel_tensors.h"

namespace espalier::golden {
namespace {

constexpr double kVertexTolerance = 1e-5;

}  // namespace

Status compare_mesh(Report& report, const std::string& name, const at::Tensor& voxels, const nn::DecodedDualGrid& grid,
                    int resolution, const at::Tensor& vertices, const at::Tensor& faces) {
  const auto cells = rows<int32_t, 3>(voxels);
  const auto points = rows<float, 3>(grid.vertices);
  const at::Tensor bits = (grid.intersected * torch::tensor({1, 2, 4})).sum(1).to(at::kByte).contiguous();
  const at::Tensor weights = grid.split_weight.contiguous();
  const auto count = static_cast<size_t>(bits.numel());
  const ovoxel::DualGridView view{
      cells, points, {bits.const_data_ptr<uint8_t>(), count}, {weights.const_data_ptr<float>(), count}};
  ESP_ASSIGN(const auto mesh, ovoxel::dual_mesh(view, ovoxel::Grid::cube(resolution)));
  report.compare(name + ".vertices", to_tensor(mesh.positions), vertices, kVertexTolerance, 0);
  report.compare(name + ".faces", to_tensor(mesh.triangles), faces, 0, 0);
  return absl::OkStatus();
}

}  // namespace espalier::golden
