#include "preprocess/discovery.h"

#include <algorithm>
#include <array>
#include <optional>
#include <unordered_map>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/files.h"
#include "common/sha256.h"
#include "preprocess/manifest_csv.h"

namespace espalier::preprocess {
namespace {

constexpr std::string_view kManifest = "manifest.csv";
constexpr uint64_t kMaxManifestBytes = uint64_t{64} << 20;

std::string extension(std::string_view name) {
  const size_t dot = name.rfind('.');
  return dot == std::string_view::npos ? "" : absl::AsciiStrToLower(std::string(name.substr(dot)));
}

bool has_companions(std::string_view name) {
  const std::string kind = extension(name);
  return kind == ".gltf" || kind == ".obj" || kind == ".fbx" || kind == ".blend";
}

bool is_companion(std::string_view name) {
  static constexpr std::array<std::string_view, 11> kKinds = {".bin", ".mtl", ".png", ".jpg",  ".jpeg", ".webp",
                                                              ".tga", ".bmp", ".gif", ".ktx2", ".tif"};
  return std::find(kKinds.begin(), kKinds.end(), extension(name)) != kKinds.end();
}

// Hashes of files and of the companions of a folder, each computed once.
class Hasher {
 public:
  explicit Hasher(const AssetSource& source) : source_(source) {}

  Result<std::string> file(const std::string& name) {
    if (const auto known = files_.find(name); known != files_.end()) return known->second;
    ESP_ASSIGN(std::string digest, sha256_hex_of_file(source_.root / name));
    return files_[name] = std::move(digest);
  }

  // Of the companions in `folder` ("" or "a/b/") and below.
  Result<std::string> companions(const std::string& folder) {
    if (const auto known = folders_.find(folder); known != folders_.end()) return known->second;
    Sha256 digest;
    const auto first = std::lower_bound(source_.names.begin(), source_.names.end(), folder);
    for (auto name = first; name != source_.names.end() && name->starts_with(folder); ++name) {
      if (!is_companion(*name)) continue;
      ESP_ASSIGN(const std::string bytes, file(*name));
      digest.update(absl::StrCat(name->substr(folder.size()), "\n", bytes, "\n"));
    }
    return folders_[folder] = digest.hex_digest();
  }

  Result<std::string> bundle(const std::string& name, const std::string& main) {
    if (!has_companions(name)) return main;
    const size_t slash = name.rfind('/');
    ESP_ASSIGN(const std::string rest, companions(slash == std::string::npos ? "" : name.substr(0, slash + 1)));
    return sha256_hex(absl::StrCat(main, "\n", rest));
  }

 private:
  const AssetSource& source_;
  std::unordered_map<std::string, std::string> files_, folders_;
};

// The folder ("" or "top/") whose manifest.csv counts; nullopt when there is none.
std::optional<std::string> manifest_prefix(const std::vector<std::string>& names) {
  if (std::binary_search(names.begin(), names.end(), std::string(kManifest))) return "";
  if (names.empty()) return std::nullopt;
  const size_t slash = names.front().find('/');
  if (slash == std::string::npos) return std::nullopt;
  const std::string top = names.front().substr(0, slash + 1);
  const bool single = std::all_of(names.begin(), names.end(), [&](const auto& name) { return name.starts_with(top); });
  if (!single || !std::binary_search(names.begin(), names.end(), top + std::string(kManifest))) return std::nullopt;
  return top;
}

void mark_duplicates(std::vector<Asset>& assets) {
  std::unordered_map<std::string, size_t> first;
  for (size_t i = 0; i < assets.size(); ++i) {
    if (assets[i].excluded) continue;
    if (!first.emplace(assets[i].sha256, i).second) assets[i].duplicate_of = assets[i].sha256;
  }
}

}  // namespace

Result<std::vector<Asset>> discover(const AssetSource& source, std::stop_token stop) {
  std::vector<Asset> assets;
  Hasher hasher(source);
  for (const std::string& name : source.names) {
    if (!dataset::is_asset_name(name)) continue;
    if (stop.stop_requested()) return absl::CancelledError("stopped while reading the assets");
    Asset asset;
    asset.path = name;
    ESP_ASSIGN(asset.sha256, hasher.file(name));
    ESP_ASSIGN(asset.bundle_sha256, hasher.bundle(name, asset.sha256));
    assets.push_back(std::move(asset));
  }
  if (assets.empty())
    return absl::InvalidArgumentError(
        "the input has no 3D assets; looked for .glb .gltf .obj .fbx .stl .ply .blend, not in hidden folders");
  if (const auto prefix = manifest_prefix(source.names)) {
    ESP_ASSIGN(const std::string csv,
               read_file(source.root / absl::StrCat(*prefix, std::string(kManifest)), kMaxManifestBytes));
    ESP_TRY(apply_manifest(csv, *prefix, assets));
  }
  mark_duplicates(assets);
  return assets;
}

}  // namespace espalier::preprocess
