#include "nano/voxel_grids.h"

#include <ATen/ATen.h>
#include <torch/types.h>

#include <atomic>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/log.h"
#include "nano/architecture.h"
#include "nano/latent_kinds.h"
#include "nano/paint.h"
#include "nano/parallel.h"
#include "nn/io/safetensors.h"
#include "ovoxel/dual_grid.h"
#include "ovoxel/pbr_voxels.h"
#include "ovoxel/stored_dual_grid.h"

namespace espalier::nano {
namespace {

constexpr uint32_t kCropStream = 0xc409;
constexpr int kLatentCell = 16;  // voxels per side of a cell of the latent

bool is_crop(uint32_t index) { return index % 3 == 2; }

Result<VoxelGrid> made_grid(const LatentKind& kind, uint64_t seed, uint32_t index) {
  ESP_ASSIGN(const mesh::Scene scene, kind.vae_scene(seed, index));
  if (!is_crop(index)) return kind.grid(scene, kLowVoxelResolution);
  ESP_ASSIGN(const VoxelGrid whole, kind.grid(scene, kVoxelResolution));
  PhiloxStream random(seed, index, kCropStream);
  return random_crop(whole, kVoxelResolution, kLowVoxelResolution, random);
}

Result<VoxelGrid> cached_grid(const std::filesystem::path& file, const std::string& key) {
  ESP_ASSIGN(const auto stored, nn::SafetensorsFile::open(file));
  const auto found = stored.metadata().find("content");
  if (found == stored.metadata().end() || found->second != key) return absl::NotFoundError("made with other settings");
  ESP_ASSIGN(const nn::TensorMap tensors, stored.tensors());
  return VoxelGrid{tensors.at("coords"), tensors.at("values")};
}

// The named attributes of a table side by side.
VoxelGrid as_grid(const ovoxel::VoxelTable& table, std::initializer_list<const char*> attributes) {
  const auto count = static_cast<int64_t>(table.voxels.size());
  std::vector<at::Tensor> columns;
  for (const char* name : attributes) {
    columns.push_back(torch::tensor(table.attribute(name)->values, at::kByte).view({count, -1}));
  }
  const at::Tensor coords =
      torch::from_blob(const_cast<ovoxel::Voxel*>(table.voxels.data()), {count, 3}, at::kInt).to(at::kByte);
  return {coords, at::cat(columns, 1)};
}

}  // namespace

Result<VoxelGrid> shape_grid(const mesh::Scene& scene, int resolution) {
  const mesh::Surface surface = ovoxel::welded(scene);
  ovoxel::DualGridOptions options;
  options.threads = 1;  // objects are made side by side
  ESP_ASSIGN(const ovoxel::DualGrid grid,
             ovoxel::dual_grid(surface.positions, surface.triangles, ovoxel::Grid::cube(resolution), options));
  ESP_ASSIGN(const ovoxel::VoxelTable table, ovoxel::pack_dual_grid(grid, resolution));
  return as_grid(table, {"vertices", "intersected"});
}

Result<VoxelGrid> texture_grid(const mesh::Scene& scene, int resolution) {
  mesh::Scene textured = scene;
  color_by_textures(textured);
  ovoxel::PbrVoxelOptions options;
  options.threads = 1;
  ESP_ASSIGN(const ovoxel::VoxelTable table, ovoxel::pbr_voxels(textured, resolution, options));
  return as_grid(table, {"base_color", "metallic", "roughness", "alpha"});
}

VoxelGrid random_crop(const VoxelGrid& grid, int resolution, int side, PhiloxStream& random) {
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
  return {(coords.index_select(0, best_rows) - best_corner).to(at::kByte), grid.values.index_select(0, best_rows)};
}

nn::SparseTensor voxel_batch(const LatentKind& kind, std::span<const VoxelGrid> grids) {
  std::vector<at::Tensor> coords, values;
  std::vector<int64_t> offsets{0};
  for (const VoxelGrid& grid : grids) {
    const at::Tensor sample =
        at::full({grid.voxels(), 1}, static_cast<int64_t>(coords.size()), at::TensorOptions(at::kInt));
    coords.push_back(at::cat({sample, grid.coords.to(at::kInt)}, 1));
    values.push_back(grid.values);
    offsets.push_back(offsets.back() + grid.voxels());
  }
  return {kind.channels(at::cat(values)), at::cat(coords), std::move(offsets)};
}

Result<std::vector<VoxelGrid>> load_or_make_vae_grids(const LatentKind& kind, uint64_t seed, uint32_t count,
                                                      int threads, const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return absl::UnavailableError(absl::StrCat("cannot make ", folder.string()));
  std::vector<VoxelGrid> grids(count);
  std::atomic<uint32_t> made{0};
  const auto load_or_make = [&](uint32_t index) -> Status {
    const std::filesystem::path file = folder / absl::StrFormat("%05d.safetensors", index);
    const std::string key = absl::StrCat(kind.name, " seed ", seed, " object ", index);
    Result<VoxelGrid> grid = cached_grid(file, key);
    if (!grid.ok()) {
      ESP_ASSIGN(const VoxelGrid fresh, made_grid(kind, seed, index));
      ESP_TRY(nn::write_safetensors(file, {{"coords", fresh.coords}, {"values", fresh.values}}, {{"content", key}}));
      if (++made % 100 == 0) log_info("voxel grids", {{"made", made.load()}, {"folder", folder.string()}});
      grid = cached_grid(file, key);
    }
    ESP_ASSIGN(grids[index], std::move(grid));
    return absl::OkStatus();
  };
  ESP_TRY(for_each_index(count, threads, load_or_make));
  return grids;
}

}  // namespace espalier::nano
