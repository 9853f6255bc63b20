#include "client/source.h"

#include "absl/strings/str_cat.h"
#include "archive/zip_reader.h"
#include "archive/zip_writer.h"
#include "client/http_download.h"
#include "dataset/layout.h"

namespace espalier::client {
namespace {

namespace fs = std::filesystem;

bool is_url(const std::string& text) { return text.starts_with("http://") || text.starts_with("https://"); }

Status zip_single(const fs::path& file, const fs::path& zip) {
  archive::ZipWriter writer;
  ESP_TRY(writer.add_file(file.filename().string(), file));
  return writer.finish(zip);
}

// Puts the zip into a temporary folder, however it is come by.
Status fetch(const std::string& from, Source& source, const DownloadProgress& progress, const std::stop_token& stop) {
  ESP_ASSIGN(source.temporary, TempDir::create("espalier-submit"));
  source.zip = source.temporary->path() / "source.zip";
  if (is_url(from)) {
    source.name = fs::path(from.substr(0, from.find_first_of("?#"))).filename().string();
    if (source.name.empty()) source.name = "download.zip";
    return http_download(from, source.zip, {.progress = progress, .stop = stop});
  }
  const fs::path path = fs::path(from).lexically_normal();
  const auto stem = path.has_filename() ? path.filename() : path.parent_path().filename();
  source.name = absl::StrCat(stem.string(), ".zip");
  return fs::is_directory(path) ? archive::zip_folder(path, source.zip) : zip_single(path, source.zip);
}

Status inspect(Source& source) {
  ESP_ASSIGN(const auto reader, archive::ZipReader::open(source.zip));
  std::vector<std::string> names;
  for (const auto& entry : reader->entries()) {
    if (!entry.is_folder && !dataset::is_hidden_name(entry.name)) names.push_back(entry.name);
  }
  ESP_ASSIGN(const auto detection, dataset::detect(names));
  source.prepared = detection.kind == dataset::Kind::kPrepared;
  for (const auto& name : names) source.objects += !source.prepared && dataset::is_asset_name(name);
  if (!source.prepared && source.objects == 0) {
    return absl::InvalidArgumentError(
        "holds no 3D asset (allowed: .glb .gltf .obj .ply .stl .fbx .blend files, or a prepared dataset)");
  }
  return absl::OkStatus();
}

}  // namespace

Result<Source> open_source(const std::string& from, const DownloadProgress& progress, std::stop_token stop) {
  Source source;
  std::error_code error;
  const fs::path path = from;
  if (!is_url(from) && !fs::exists(path, error)) {
    return absl::NotFoundError(absl::StrCat(from, ": no such file or folder"));
  }
  const bool is_zip = !is_url(from) && fs::is_regular_file(path, error) && !dataset::is_asset_name(from);
  if (is_zip) {
    source.zip = path;
    source.name = path.filename().string();
  } else {
    ESP_TRY(annotate(fetch(from, source, progress, stop), from));
  }
  ESP_TRY(annotate(inspect(source), from));
  return source;
}

}  // namespace espalier::client
