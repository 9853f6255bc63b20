#include <algorithm>
#include <cctype>
#include <system_error>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/files.h"
#include "mesh/import_internal.h"

namespace espalier::mesh::internal {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxReference = 1024;  // bytes of one path
constexpr int kMaxEntriesSearched = 50'000;

Status bad_reference(std::string_view reference, std::string_view why) {
  return import_error(
      ImportError::kUnreadable,
      absl::StrCat("reference \"", absl::CEscape(std::string(reference.substr(0, 120))), "\": ", std::string(why)));
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool has_drive_or_scheme(std::string_view path) {
  const size_t colon = path.find(':');
  return colon != std::string_view::npos && path.substr(0, colon).find('/') == std::string_view::npos;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

bool inside(const fs::path& path, const fs::path& root) {
  return std::mismatch(root.begin(), root.end(), path.begin(), path.end()).first == root.end();
}

std::string_view file_name(std::string_view reference) {
  const size_t slash = reference.find_last_of("/\\");
  return slash == std::string_view::npos ? reference : reference.substr(slash + 1);
}

Result<std::string> read_companion(const fs::path& path, std::string_view reference, uint64_t max_bytes) {
  auto bytes = read_file(path, max_bytes);
  if (bytes.ok()) return bytes;
  if (absl::IsNotFound(bytes.status())) {
    return import_error(ImportError::kMissingCompanion,
                        absl::StrCat("\"", absl::CEscape(std::string(reference)), "\" is not among the files"));
  }
  return bad_reference(reference, std::string(bytes.status().message()));
}

}  // namespace

Result<std::string> decode_relative_uri(std::string_view uri) {
  if (uri.empty() || uri.size() > kMaxReference) return bad_reference(uri, "must have 1 to 1024 bytes");
  if (has_drive_or_scheme(uri)) return bad_reference(uri, "only relative paths are allowed, not a scheme");
  if (uri.find_first_of("#?") != std::string_view::npos) return bad_reference(uri, "has a query or fragment");
  std::string path;
  for (size_t i = 0; i < uri.size(); ++i) {
    if (uri[i] != '%') {
      path += uri[i];
      continue;
    }
    const int high = i + 2 < uri.size() ? hex_digit(uri[i + 1]) : -1;
    const int low = i + 2 < uri.size() ? hex_digit(uri[i + 2]) : -1;
    if (high < 0 || low < 0) return bad_reference(uri, "has a broken percent escape");
    path += static_cast<char>(high * 16 + low);
    i += 2;
  }
  for (size_t i = 0; i + 2 < path.size(); ++i) {
    if (path[i] == '%' && hex_digit(path[i + 1]) >= 0 && hex_digit(path[i + 2]) >= 0) {
      return bad_reference(uri, "is percent-encoded twice");
    }
  }
  return path;
}

Result<std::string> decode_data_uri(std::string_view uri, uint64_t max_bytes) {
  const size_t comma = uri.find(',');
  if (comma == std::string_view::npos || comma > 256) return bad_reference(uri, "data URI without content");
  const std::string_view header = uri.substr(5, comma - 5);
  const bool type_ok = header.starts_with("image/") || header.starts_with("application/octet-stream") ||
                       header.starts_with("application/gltf-buffer");
  if (!type_ok || !header.ends_with(";base64")) {
    return bad_reference(uri, "data URI must be base64 of an image or a buffer");
  }
  const std::string_view content = uri.substr(comma + 1);
  if (content.size() / 4 * 3 > max_bytes + 3) return bad_reference(uri, "data URI is too large");
  std::string bytes;
  if (!absl::Base64Unescape(absl::string_view(content.data(), content.size()), &bytes)) {
    return bad_reference(uri, "data URI is not base64");
  }
  return bytes;
}

Companions::Companions(const fs::path& file, const ImportOptions& options) {
  std::error_code error;
  const fs::path parent = file.has_parent_path() ? file.parent_path() : fs::path(".");
  folder_ = fs::weakly_canonical(parent, error);
  root_ = options.root.empty() ? folder_ : fs::weakly_canonical(options.root, error);
  if (!root_.has_filename()) root_ = root_.parent_path();
  stem_ = file.stem().string();
}

Result<fs::path> Companions::resolve(std::string_view reference) const {
  if (reference.empty() || reference.size() > kMaxReference) {
    return bad_reference(reference, "must have 1 to 1024 bytes");
  }
  if (reference.find('\0') != std::string_view::npos) return bad_reference(reference, "contains a zero byte");
  if (reference.find('\\') != std::string_view::npos) return bad_reference(reference, "contains a backslash");
  if (reference.front() == '/' || has_drive_or_scheme(reference)) {
    return bad_reference(reference, "only relative paths are allowed");
  }
  const fs::path path = (folder_ / fs::path(reference)).lexically_normal();
  if (!inside(path, root_)) return bad_reference(reference, "leaves the asset's folder");
  std::error_code error;
  const fs::path real = fs::weakly_canonical(path, error);  // follows symbolic links
  if (error || !inside(real, root_)) return bad_reference(reference, "leaves the asset's folder");
  if (fs::exists(real, error) && !fs::is_regular_file(real, error)) return bad_reference(reference, "is not a file");
  return real;
}

fs::path Companions::find_by_name(std::string_view reference) const {
  const std::string wanted = lower(std::string(file_name(reference)));
  if (wanted.empty()) return {};
  std::error_code error;
  fs::path best;
  int visited = 0;
  for (fs::recursive_directory_iterator it(root_, error), end; !error && it != end; it.increment(error)) {
    if (++visited > kMaxEntriesSearched) break;
    if (!it->is_regular_file(error) || it->is_symlink(error)) continue;
    if (lower(it->path().filename().string()) != wanted) continue;
    if (best.empty() || it->path() < best) best = it->path();  // the folder's order must not matter
  }
  return best;
}

Result<std::string> Companions::read(std::string_view reference, uint64_t max_bytes) const {
  ESP_ASSIGN(const fs::path path, resolve(reference));
  return read_companion(path, reference, max_bytes);
}

Result<fs::path> Companions::find(std::string_view reference) const {
  std::string forward(reference);
  std::replace(forward.begin(), forward.end(), '\\', '/');
  const auto path = resolve(forward);
  std::error_code error;
  if (path.ok() && fs::is_regular_file(*path, error)) return *path;
  if (reference.find('\0') != std::string_view::npos) return path.status();
  const fs::path found = find_by_name(forward);
  if (found.empty()) {
    return import_error(ImportError::kMissingCompanion,
                        absl::StrCat("\"", absl::CEscape(std::string(reference)), "\" is not among the files"));
  }
  return found;
}

bool Companions::has(std::string_view reference) const { return find(reference).ok(); }

Result<std::string> Companions::read_by_name(std::string_view reference, uint64_t max_bytes) const {
  ESP_ASSIGN(const fs::path path, find(reference));
  return read_companion(path, reference, max_bytes);
}

}  // namespace espalier::mesh::internal
