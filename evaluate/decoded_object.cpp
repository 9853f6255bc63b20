#include "evaluate/decoded_object.h"

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dataset/npz.h"
#include "ovoxel/dual_mesh.h"

namespace espalier::evaluate {
namespace {

using Arrays = std::map<std::string, dataset::Array>;

// The rows of an array [M, size of Row] (or [M] for scalars).
template <class Row>
Result<std::vector<Row>> rows(const Arrays& arrays, const std::string& name, const char* dtype) {
  const auto found = arrays.find(name);
  if (found == arrays.end()) return absl::InvalidArgumentError(absl::StrCat(name, ": missing"));
  const dataset::Array& array = found->second;
  if (array.dtype != dtype || array.shape.empty() ||
      array.bytes.size() != static_cast<size_t>(array.shape[0]) * sizeof(Row)) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": is not an array of ", dtype, " of the right shape"));
  }
  std::vector<Row> result(static_cast<size_t>(array.shape[0]));
  if (!result.empty()) std::memcpy(result.data(), array.bytes.data(), array.bytes.size());
  return result;
}

std::vector<uint8_t> crossing_bits(const std::vector<std::array<uint8_t, 3>>& crossed) {
  std::vector<uint8_t> bits;
  for (const auto& axes : crossed) {
    bits.push_back(static_cast<uint8_t>((axes[0] != 0) | (axes[1] != 0) << 1 | (axes[2] != 0) << 2));
  }
  return bits;
}

}  // namespace

Result<ColoredSurface> decoded_object(std::string_view npz) {
  ESP_ASSIGN(const Arrays arrays, dataset::read_npz(npz));
  ESP_ASSIGN(const auto voxels, rows<ovoxel::Voxel>(arrays, "coords", "<i4"));
  ESP_ASSIGN(const auto vertices, rows<mesh::Vec3>(arrays, "vertices", "<f4"));
  ESP_ASSIGN(const auto crossed, (rows<std::array<uint8_t, 3>>(arrays, "intersected", "|u1")));
  ESP_ASSIGN(const auto weights, rows<float>(arrays, "split_weights", "<f4"));
  ESP_ASSIGN(const auto resolution, rows<int32_t>(arrays, "resolution", "<i4"));
  if (resolution.size() != 1) return absl::InvalidArgumentError("resolution: is not one number");
  const std::vector<uint8_t> intersected = crossing_bits(crossed);
  ColoredSurface object;
  ESP_ASSIGN(object.surface,
             ovoxel::dual_mesh({voxels, vertices, intersected, weights}, ovoxel::Grid::cube(resolution[0])));
  if (arrays.contains("base_color")) {
    ESP_ASSIGN(object.colors, rows<mesh::Vec3>(arrays, "base_color", "<f4"));
  }
  return object;
}

}  // namespace espalier::evaluate
