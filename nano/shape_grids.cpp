#include "nano/shape_grids.h"

#include <ATen/ATen.h>
#include <torch/types.h>

#include <atomic>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/log.h"
#include "nano/architecture.h"
#include "nano/parallel.h"
#include "nano/random_shapes.h"
#include "nn/io/safetensors.h"
#include "nn/networks/voxel_channels.h"
#include "ovoxel/dual_grid.h"
#include "ovoxel/stored_dual_grid.h"

namespace espalier::nano {
namespace {

constexpr uint32_t kCropStream = 0xc409;
constexpr int kLatentCell = 16;  // voxels per side of a cell of the latent

bool is_crop(uint32_t index) { return index % 3 == 2; }

Result<ShapeGrid> made_grid(uint64_t seed, uint32_t index) {
  ESP_ASSIGN(const mesh::Scene scene, random_shape(seed, index));
  if (!is_crop(index)) return shape_grid(scene, kLowVoxelResolution);
  ESP_ASSIGN(const ShapeGrid whole, shape_grid(scene, kVoxelResolution));
  PhiloxStream random(seed, index, kCropStream);
  return random_crop(whole, kVoxelResolution, kLowVoxelResolution, random);
}

Result<ShapeGrid> cached_grid(const std::filesystem::path& file, const std::string& key) {
  ESP_ASSIGN(const auto stored, nn::SafetensorsFile::open(file));
  const auto found = stored.metadata().find("content");
  if (found == stored.metadata().end() || found->second != key) return absl::NotFoundError("made with other settings");
  ESP_ASSIGN(const nn::TensorMap tensors, stored.tensors());
  return ShapeGrid{tensors.at("coords"), tensors.at("vertices"), tensors.at("flags")};
}

}  // namespace

Result<ShapeGrid> shape_grid(const mesh::Scene& scene, int resolution) {
  const mesh::Surface surface = ovoxel::welded(scene);
  ovoxel::DualGridOptions options;
  options.threads = 1;  // shapes are made side by side
  ESP_ASSIGN(const ovoxel::DualGrid grid,
             ovoxel::dual_grid(surface.positions, surface.triangles, ovoxel::Grid::cube(resolution), options));
  ESP_ASSIGN(const ovoxel::VoxelTable table, ovoxel::pack_dual_grid(grid, resolution));
  const auto count = static_cast<int64_t>(table.voxels.size());
  const auto bytes = [](const std::vector<uint8_t>& values) { return torch::tensor(values, at::kByte); };
  const at::Tensor coords =
      torch::from_blob(const_cast<ovoxel::Voxel*>(table.voxels.data()), {count, 3}, at::kInt).to(at::kByte);
  return ShapeGrid{coords, bytes(table.attribute("vertices")->values).view({count, 3}),
                   bytes(table.attribute("intersected")->values)};
}

ShapeGrid random_crop(const ShapeGrid& grid, int resolution, int side, PhiloxStream& random) {
  constexpr int kDraws = 4;
  const auto places = static_cast<uint32_t>((resolution - side) / kLatentCell + 1);
  const at::Tensor coords = grid.coords.to(at::kInt);
  at::Tensor best_rows, best_corner;
  for (int draw = 0; draw < kDraws; ++draw) {
    std::array<int32_t, 3> place{};
    for (int32_t& value : place) value = static_cast<int32_t>(random.below(places)) * kLatentCell;
    const at::Tensor corner = at::tensor({place[0], place[1], place[2]}, at::TensorOptions(at::kInt));
    const at::Tensor moved = coords - corner;
    const at::Tensor rows = (moved.ge(0) & moved.lt(side)).all(1).nonzero().flatten();
    if (best_rows.defined() && rows.size(0) <= best_rows.size(0)) continue;
    best_rows = rows;
    best_corner = corner;
  }
  return {(coords.index_select(0, best_rows) - best_corner).to(at::kByte), grid.vertices.index_select(0, best_rows),
          grid.flags.index_select(0, best_rows)};
}

nn::SparseTensor shape_batch(std::span<const ShapeGrid> grids) {
  std::vector<at::Tensor> coords, vertices, flags;
  std::vector<int64_t> offsets{0};
  for (const ShapeGrid& grid : grids) {
    const at::Tensor sample =
        at::full({grid.voxels(), 1}, static_cast<int64_t>(coords.size()), at::TensorOptions(at::kInt));
    coords.push_back(at::cat({sample, grid.coords.to(at::kInt)}, 1));
    vertices.push_back(grid.vertices);
    flags.push_back(grid.flags);
    offsets.push_back(offsets.back() + grid.voxels());
  }
  return {nn::dual_grid_channels(at::cat(vertices), at::cat(flags)), at::cat(coords), std::move(offsets)};
}

Result<std::vector<ShapeGrid>> load_or_make_shape_grids(uint64_t seed, uint32_t count, int threads,
                                                        const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return absl::UnavailableError(absl::StrCat("cannot make ", folder.string()));
  std::vector<ShapeGrid> grids(count);
  std::atomic<uint32_t> made{0};
  const auto load_or_make = [&](uint32_t index) -> Status {
    const std::filesystem::path file = folder / absl::StrFormat("%05d.safetensors", index);
    const std::string key = absl::StrCat("seed ", seed, " shape ", index);
    Result<ShapeGrid> grid = cached_grid(file, key);
    if (!grid.ok()) {
      ESP_ASSIGN(const ShapeGrid fresh, made_grid(seed, index));
      ESP_TRY(nn::write_safetensors(
          file, {{"coords", fresh.coords}, {"vertices", fresh.vertices}, {"flags", fresh.flags}}, {{"content", key}}));
      if (++made % 100 == 0) log_info("shapes", {{"made", made.load()}, {"folder", folder.string()}});
      grid = cached_grid(file, key);
    }
    ESP_ASSIGN(grids[index], std::move(grid));
    return absl::OkStatus();
  };
  ESP_TRY(for_each_index(count, threads, load_or_make));
  return grids;
}

}  // namespace espalier::nano
