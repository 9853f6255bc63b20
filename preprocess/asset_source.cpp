#include "preprocess/asset_source.h"

#include <algorithm>
#include <memory>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "archive/extract.h"
#include "archive/zip_reader.h"
#include "common/sha256.h"

namespace espalier::preprocess {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxFiles = 1'000'000;

enum class InputKind { kFolder, kAsset, kZip };

Result<InputKind> kind_of(const fs::path& input) {
  std::error_code error;
  const auto status = fs::status(input, error);
  if (error || status.type() == fs::file_type::not_found)
    return absl::NotFoundError(absl::StrCat(input.string(), ": no such file or folder"));
  if (fs::is_directory(status)) return InputKind::kFolder;
  return dataset::is_asset_name(input.filename().string()) ? InputKind::kAsset : InputKind::kZip;
}

// Names of the regular, visible, non-empty files below `folder`, sorted.
Result<std::vector<std::string>> list(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::recursive_directory_iterator walk(folder, error), end; !error && walk != end; walk.increment(error)) {
    const std::string name = walk->path().lexically_relative(folder).generic_string();
    if (dataset::is_hidden_name(name)) {
      walk.disable_recursion_pending();
      continue;
    }
    if (walk->is_symlink(error) || !walk->is_regular_file(error) || walk->file_size(error) == 0) continue;
    names.push_back(name);
    if (names.size() > kMaxFiles)
      return absl::ResourceExhaustedError(absl::StrCat(folder.string(), ": more than ", kMaxFiles, " files"));
  }
  if (error) return absl::NotFoundError(absl::StrCat(folder.string(), ": ", error.message()));
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::string> digest_of_listing(const fs::path& root, const std::vector<std::string>& names) {
  Sha256 digest;
  for (const std::string& name : names) {
    ESP_ASSIGN(const std::string file, sha256_hex_of_file(root / name));
    digest.update(absl::StrCat(name, "\n", file, "\n"));
  }
  return digest.hex_digest();
}

// A checked zip. Being over a limit is the input's fault: another attempt would end the same.
Result<std::shared_ptr<const archive::ZipReader>> open_zip(const fs::path& path, const archive::Limits& limits) {
  auto zip = archive::ZipReader::open(path, limits);
  if (zip.ok()) return zip;
  const Status status = annotate(zip.status(), path.filename().string());
  if (!absl::IsResourceExhausted(status)) return status;
  return absl::InvalidArgumentError(std::string(status.message()));
}

Result<AssetSource> unpack(const fs::path& zip, const fs::path& scratch, std::stop_token stop) {
  AssetSource source;
  source.root = scratch / "assets";
  archive::ExtractOptions options;
  ESP_TRY(open_zip(zip, options.limits).status());
  options.wanted = [](std::string_view name) { return !dataset::is_hidden_name(name); };
  const auto files = archive::extract(zip, source.root, options, std::move(stop));
  if (!files.ok()) return annotate(files.status(), zip.filename().string());
  for (const auto& file : *files) {
    if (file.bytes > 0) source.names.push_back(file.name);
  }
  ESP_ASSIGN(source.sha256, sha256_hex_of_file(zip));
  return source;
}

}  // namespace

Result<dataset::Detection> detect_input(const fs::path& input) {
  ESP_ASSIGN(const InputKind kind, kind_of(input));
  if (kind == InputKind::kAsset) return dataset::Detection{};
  std::vector<std::string> names;
  if (kind == InputKind::kFolder) {
    ESP_ASSIGN(names, list(input));
  } else {
    archive::Limits limits;  // a prepared dataset may be larger than an upload; unpacking has the strict limits
    limits.max_archive_bytes = limits.max_total_bytes = uint64_t{4} << 40;
    limits.max_entries = 4'000'000;
    ESP_ASSIGN(const auto zip, open_zip(input, limits));
    for (const auto& entry : zip->entries()) {
      if (!entry.is_folder) names.push_back(entry.name);
    }
  }
  return dataset::detect(names);
}

Result<AssetSource> open_assets(const fs::path& input, const fs::path& scratch, std::stop_token stop) {
  ESP_ASSIGN(const InputKind kind, kind_of(input));
  if (kind == InputKind::kZip) return unpack(input, scratch, std::move(stop));
  AssetSource source;
  std::error_code error;
  const fs::path absolute = fs::canonical(input, error);
  if (error) return absl::NotFoundError(absl::StrCat(input.string(), ": ", error.message()));
  if (kind == InputKind::kAsset) {
    source.root = absolute.parent_path();
    source.names = {absolute.filename().string()};
    source.single = true;
    ESP_ASSIGN(source.sha256, sha256_hex_of_file(absolute));
    return source;
  }
  source.root = absolute;
  ESP_ASSIGN(source.names, list(absolute));
  ESP_ASSIGN(source.sha256, digest_of_listing(absolute, source.names));
  return source;
}

}  // namespace espalier::preprocess
