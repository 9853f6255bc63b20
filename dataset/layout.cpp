#include "dataset/layout.h"

#include <algorithm>
#include <array>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "dataset/prepared_dataset.h"

namespace espalier::dataset {
namespace {

constexpr std::string_view kTable = "metadata.csv";

bool is_hidden_component(const std::string& component) {
  const std::string lower = absl::AsciiStrToLower(component);
  return component.starts_with(".") || lower == "__macosx" || lower == "thumbs.db" || lower == "desktop.ini";
}

}  // namespace

bool is_asset_name(std::string_view path) {
  static constexpr std::array<std::string_view, 7> kExtensions = {".glb", ".gltf", ".obj",  ".fbx",
                                                                  ".stl", ".ply",  ".blend"};
  const std::string lower = absl::AsciiStrToLower(std::string(path));
  return std::any_of(kExtensions.begin(), kExtensions.end(), [&](auto ending) { return lower.ends_with(ending); });
}

bool is_hidden_name(std::string_view path) {
  for (size_t start = 0; start <= path.size();) {
    const size_t end = std::min(path.find('/', start), path.size());
    if (is_hidden_component(std::string(path.substr(start, end - start)))) return true;
    start = end + 1;
  }
  return false;
}

Result<Detection> detect(const std::vector<std::string>& names) {
  const std::set<std::string> all(names.begin(), names.end());
  Detection found;
  bool prepared = false;
  for (const std::string& name : all) {
    const size_t slash = name.rfind('/');
    const std::string root = slash == std::string::npos ? "" : name.substr(0, slash + 1);
    const bool shallow = std::count(name.begin(), name.end(), '/') <= 1;
    if (!shallow || is_hidden_name(name) || name.substr(root.size()) != kManifestName) continue;
    if (!all.contains(root + std::string(kTable))) continue;
    if (prepared)
      return absl::InvalidArgumentError(absl::StrCat("MIXED_ARCHIVE: two prepared datasets, in \"", found.root,
                                                     "\" and in \"", root, "\"; pass one"));
    prepared = true;
    found = {Kind::kPrepared, root};
  }
  if (!prepared) return found;
  for (const std::string& name : all) {
    if (is_asset_name(name) && !is_hidden_name(name))
      return absl::InvalidArgumentError(absl::StrCat("MIXED_ARCHIVE: a prepared dataset together with the asset \"",
                                                     name, "\"; pass assets or a prepared dataset, not both"));
  }
  return found;
}

std::string ss_latent_folder(std::string_view encoder, int grid) {
  return absl::StrCat("ss_latents/", std::string(encoder), "_", grid);
}

std::string shape_latent_folder(std::string_view encoder, int tier) {
  return absl::StrCat("shape_latents/", std::string(encoder), "_", tier);
}

std::string pbr_latent_folder(std::string_view encoder, int tier) {
  return absl::StrCat("pbr_latents/", std::string(encoder), "_", tier);
}

std::string ss_occupancy_folder(int grid) { return absl::StrCat("ss_occupancy_", grid); }

std::string dual_grid_folder(int side) { return absl::StrCat("dual_grid_", side); }

std::string pbr_voxels_folder(int side) { return absl::StrCat("pbr_voxels_", side); }

std::string view_name(int index) {
  const std::string digits = std::to_string(index);
  return std::string(digits.size() < 3 ? 3 - digits.size() : 0, '0') + digits + ".png";
}

}  // namespace espalier::dataset
