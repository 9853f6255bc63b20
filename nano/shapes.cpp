#include <ATen/ATen.h>

#include <array>

#include "absl/strings/str_cat.h"
#include "common/philox.h"
#include "nano/architecture.h"
#include "nano/corpus.h"
#include "nano/objects.h"
#include "nano/parallel.h"
#include "nano/random_shapes.h"
#include "nn/io/safetensors.h"
#include "ovoxel/active_voxels.h"
#include "ovoxel/occupancy.h"

namespace espalier::nano {
namespace {

constexpr uint32_t kFamilyStream = 0x5a9e;  // apart from the objects' own streams, whose second coordinate is 0

// The cells that the surface of a random field passes through.
at::Tensor random_field_surface(PhiloxStream& random) {
  constexpr int kCorners = kOccupancySide + 1;
  const RandomField field(random);
  std::vector<uint8_t> inside(kCorners * kCorners * kCorners);
  for (int i = 0; i < kCorners * kCorners * kCorners; ++i) {
    const std::array<double, 3> p{i / (kCorners * kCorners) / double{kOccupancySide} - 0.5,
                                  i / kCorners % kCorners / double{kOccupancySide} - 0.5,
                                  i % kCorners / double{kOccupancySide} - 0.5};
    inside[i] = field(p) > 0;
  }
  const at::Tensor corners =
      at::from_blob(inside.data(), {kCorners, kCorners, kCorners}, at::TensorOptions(at::kByte)).clone();
  // A cell is on the surface when its eight corners disagree.
  const at::Tensor eight = corners.unfold(0, 2, 1).unfold(1, 2, 1).unfold(2, 2, 1).flatten(3);
  return eight.amax(3).sub(eight.amin(3)).contiguous();
}

}  // namespace

Result<at::Tensor> scene_occupancy(const mesh::Scene& scene) {
  ESP_ASSIGN(const auto voxels, ovoxel::active_voxels(scene, kVoxelResolution, 1));
  ESP_ASSIGN(std::vector<uint8_t> cells, ovoxel::occupancy(voxels, kVoxelResolution, kOccupancySide));
  return at::from_blob(cells.data(), {kOccupancySide, kOccupancySide, kOccupancySide}, at::TensorOptions(at::kByte))
      .clone();
}

Result<at::Tensor> object_occupancies(uint64_t seed, uint32_t count, int threads) {
  at::Tensor all = at::zeros({count, kOccupancySide, kOccupancySide, kOccupancySide}, at::TensorOptions(at::kByte));
  const auto make = [&](uint32_t index) -> Status {
    ESP_ASSIGN(const at::Tensor cells, scene_occupancy(make_object(seed, index).scene));
    all[index].copy_(cells);
    return absl::OkStatus();
  };
  ESP_TRY(for_each_index(count, threads, make));
  return all;
}

Result<at::Tensor> load_or_make_shapes(uint64_t seed, uint32_t count, int threads, const std::filesystem::path& file) {
  const std::string key = absl::StrCat("seed ", seed, " count ", count);
  if (std::filesystem::exists(file)) {
    ESP_ASSIGN(const auto cached, nn::SafetensorsFile::open(file));
    const auto found = cached.metadata().find("content");
    if (found != cached.metadata().end() && found->second == key) {
      ESP_ASSIGN(const at::Tensor shapes, cached.tensor("shapes"));
      return shapes.clone();
    }
  }
  at::Tensor shapes = at::zeros({count, kOccupancySide, kOccupancySide, kOccupancySide}, at::TensorOptions(at::kByte));
  const auto make = [&](uint32_t index) -> Status {
    PhiloxStream random(seed, index, kFamilyStream);
    if (index % 4 == 3) {
      shapes[index].copy_(random_field_surface(random));
      return absl::OkStatus();
    }
    // Every third index falls on a quarter, so the round of families is walked by its own counter.
    mesh::Scene scene = make_object(seed, index / 4 * 3 + index % 4).scene;
    if (index % 4 != 0) ESP_TRY(rotate_at_random(scene, random));
    ESP_ASSIGN(const at::Tensor cells, scene_occupancy(scene));
    shapes[index].copy_(cells);
    return absl::OkStatus();
  };
  ESP_TRY(for_each_index(count, threads, make));
  std::filesystem::create_directories(file.parent_path());
  ESP_TRY(nn::write_safetensors(file, {{"shapes", shapes}}, {{"content", key}}));
  return shapes;
}

}  // namespace espalier::nano
