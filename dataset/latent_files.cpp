#include "dataset/latent_files.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "dataset/npz.h"

namespace espalier::dataset {
namespace {

constexpr int kMaxLatentChannels = 64, kMaxGrid = 64;

Result<const Array*> member(const std::map<std::string, Array>& arrays, const char* name) {
  const auto found = arrays.find(name);
  if (found == arrays.end()) return absl::InvalidArgumentError(absl::StrCat("has no array \"", name, "\""));
  return &found->second;
}

Status check_finite(const std::vector<float>& values, const char* name) {
  if (std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); })) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(name, " has values that are not finite"));
}

// uint8 [n, 3], each below `side`.
Result<std::vector<uint8_t>> coordinates(const std::map<std::string, Array>& arrays, int side) {
  ESP_ASSIGN(const Array* coords, member(arrays, "coords"));
  if (coords->shape.size() != 2 || coords->shape[1] != 3 || coords->dtype != "|u1")
    return absl::InvalidArgumentError("coords is not uint8 [n, 3]");
  ESP_ASSIGN(std::vector<uint8_t> values, coords->u8());
  if (std::any_of(values.begin(), values.end(), [&](uint8_t v) { return v >= side; }))
    return absl::InvalidArgumentError("coords has values outside the grid");
  return values;
}

bool all_different(const std::vector<uint8_t>& coords, int grid) {
  const auto side = static_cast<size_t>(grid);
  std::vector<bool> seen(side * side * side);
  for (size_t i = 0; i < coords.size(); i += 3) {
    const size_t cell = (coords[i] * side + coords[i + 1]) * side + coords[i + 2];
    if (seen[cell]) return false;
    seen[cell] = true;
  }
  return true;
}

}  // namespace

Result<SsLatent> parse_ss_latent(std::string_view npz) {
  ESP_ASSIGN(const auto arrays, read_npz(npz, {kMaxFileBytes}));
  ESP_ASSIGN(const Array* z, member(arrays, "z"));
  const auto& shape = z->shape;
  const bool cube = shape.size() == 4 && shape[1] == shape[2] && shape[2] == shape[3];
  if (!cube || z->dtype != "<f4" || shape[0] < 1 || shape[0] > kMaxLatentChannels || shape[1] < 1 ||
      shape[1] > kMaxGrid)
    return absl::InvalidArgumentError("z is not float32 [C, r, r, r]");
  SsLatent latent{static_cast<int>(shape[0]), static_cast<int>(shape[1]), {}};
  ESP_ASSIGN(latent.values, z->floats());
  ESP_TRY(check_finite(latent.values, "z"));
  return latent;
}

Result<std::vector<uint8_t>> parse_occupancy(std::string_view npz, int resolution) {
  ESP_ASSIGN(const auto arrays, read_npz(npz, {kMaxFileBytes}));
  return coordinates(arrays, resolution);
}

Result<StructuredLatent> parse_structured_latent(std::string_view npz, int grid, int64_t max_tokens) {
  ESP_ASSIGN(const auto arrays, read_npz(npz, {kMaxFileBytes}));
  StructuredLatent latent;
  ESP_ASSIGN(latent.coords, coordinates(arrays, grid));
  ESP_ASSIGN(const Array* feats, member(arrays, "feats"));
  const auto tokens = static_cast<int64_t>(latent.coords.size() / 3);
  const auto& shape = feats->shape;
  if (shape.size() != 2 || feats->dtype != "<f4" || shape[1] < 1 || shape[1] > kMaxLatentChannels)
    return absl::InvalidArgumentError("feats is not float32 [T, C]");
  if (shape[0] != tokens)
    return absl::InvalidArgumentError(absl::StrCat("feats has ", shape[0], " rows, coords ", tokens));
  if (tokens < 1 || tokens > max_tokens)
    return absl::InvalidArgumentError(absl::StrCat("has ", tokens, " cells; 1 to ", max_tokens, " are allowed"));
  if (!all_different(latent.coords, grid)) return absl::InvalidArgumentError("coords names a cell twice");
  ESP_ASSIGN(latent.feats, feats->floats());
  ESP_TRY(check_finite(latent.feats, "feats"));
  latent.channels = static_cast<int>(shape[1]);
  return latent;
}

Status check_png(std::string_view bytes, int size) {
  constexpr std::string_view kSignature("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16);
  if (bytes.size() < 33 || !bytes.starts_with(kSignature)) return absl::InvalidArgumentError("is not a PNG file");
  const auto big_endian = [&](size_t at) {
    uint32_t value = 0;
    for (size_t i = 0; i < 4; ++i) value = (value << 8) | static_cast<unsigned char>(bytes[at + i]);
    return value;
  };
  const auto side = static_cast<uint32_t>(size);
  if (big_endian(16) != side || big_endian(20) != side || bytes[24] != 8 || bytes[25] != 6)
    return absl::InvalidArgumentError(absl::StrCat("is not an RGBA image of ", size, " x ", size, " pixels"));
  return absl::OkStatus();
}

}  // namespace espalier::dataset
