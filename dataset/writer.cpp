#include "dataset/writer.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "archive/zip_writer.h"
#include "common/sha256.h"
#include "dataset/csv.h"
#include "dataset/layout.h"

namespace espalier::dataset {
namespace {

constexpr const char* kTextureKinds[] = {"basecolor", "metallic", "roughness", "alpha"};  // of ObjectRecord::textures

// One row per unique object; excluded and duplicate files are listed in the manifest only.
std::string root_table(const Manifest& manifest) {
  CsvTable table;
  table.columns = {"sha256", "file_identifier", "local_path", "aesthetic_score", "name",      "split",
                   "repeat", "status",          "num_faces",  "num_vertices",    "resolution"};
  for (const ObjectRecord& object : manifest.objects) {
    if (object.status == "duplicate" || object.status == "excluded") continue;
    table.rows.push_back({object.sha256, object.path, object.path, absl::StrFormat("%g", object.aesthetic_score),
                          object.name, object.split, std::to_string(object.repeat), object.status,
                          std::to_string(object.faces), std::to_string(object.vertices),
                          std::to_string(manifest.resolution)});
  }
  return write_csv(table);
}

std::string stats_table(const Manifest& manifest) {
  CsvTable table;
  table.columns = {"sha256", "num_faces", "num_vertices"};
  for (const char* kind : kTextureKinds) table.columns.push_back(absl::StrCat("num_", kind, "_tex"));
  for (const ObjectRecord& object : manifest.objects) {
    if (!is_prepared(object)) continue;
    auto& row = table.rows.emplace_back(
        std::vector{object.sha256, std::to_string(object.faces), std::to_string(object.vertices)});
    for (const char* kind : kTextureKinds) {
      const auto found = object.textures.find(kind);
      row.push_back(std::to_string(found == object.textures.end() ? 0 : found->second));
    }
  }
  return write_csv(table);
}

// The table of an artifact's folder: sha256 and what the reference's tools call the flag of an object that has it.
struct ArtifactTable {
  const char* flag;
  const char* stage;                                                 // null: all prepared objects have it
  const char* count_column = nullptr;                                // null: no such column
  int64_t (*count)(const Manifest&, const ObjectRecord&) = nullptr;  // what stands there
};

int64_t shape_tokens(const Manifest&, const ObjectRecord& object) { return token_count(object, "shape"); }
int64_t texture_tokens(const Manifest&, const ObjectRecord& object) { return token_count(object, "pbr"); }

// Of the tier's grid.
int64_t voxels(const Manifest& manifest, const ObjectRecord& object) {
  const auto found = object.voxels.find(latent_grid(manifest) * kVoxelsPerCell);
  return found == object.voxels.end() ? 0 : found->second;
}

const std::map<std::string, ArtifactTable>& artifact_tables() {
  static const std::map<std::string, ArtifactTable> kTables = {
      {"ss_latent", {"ss_latent_encoded", "sparse_structure"}},
      {"ss_occupancy", {"ss_occupancy", "sparse_structure"}},
      {"shape_latent", {"shape_latent_encoded", "geometry", "shape_latent_tokens", shape_tokens}},
      {"pbr_latent", {"pbr_latent_encoded", "texture", "pbr_latent_tokens", texture_tokens}},
      {"dual_grid", {"dual_grid_converted", "geometry", "dual_grid_size", voxels}},
      {"pbr_voxels", {"pbr_voxelized", "texture", "num_pbr_voxels", voxels}},
      {"render_cond", {"cond_rendered", nullptr}}};
  return kTables;
}

std::string artifact_table(const Manifest& manifest, const ArtifactTable& artifact) {
  CsvTable table;
  table.columns = {"sha256", artifact.flag};
  if (artifact.count != nullptr) table.columns.push_back(artifact.count_column);
  for (const ObjectRecord& object : manifest.objects) {
    if (!(artifact.stage == nullptr ? is_prepared(object) : is_usable(object, artifact.stage))) continue;
    table.rows.push_back({object.sha256, "True"});
    if (artifact.count != nullptr) table.rows.back().push_back(std::to_string(artifact.count(manifest, object)));
  }
  return write_csv(table);
}

std::string statistics(const Manifest& manifest) {
  const auto& source = manifest.source;
  std::string out = absl::StrCat("Statistics:\n  - Files discovered: ", source.files_discovered,
                                 "\n  - Unique objects: ", source.unique_objects, "\n  - Prepared: ", source.prepared,
                                 "\n  - Failed: ", source.failed, "\n  - Duplicates: ", source.duplicates,
                                 "\n  - Excluded: ", source.excluded, "\n  - Resolution: ", manifest.resolution,
                                 "\n  - Occupancy grid: ", manifest.ss_resolution,
                                 "\n  - Condition views per object: ", manifest.render.views, "\n");
  for (const auto& [name, stage] : manifest.stages)
    absl::StrAppend(&out, "  - Objects with ", name, " data: ", stage.objects, "\n");
  return out;
}

std::string failures(const Manifest& manifest) {
  std::string out;
  for (const ObjectRecord& object : manifest.objects) {
    if (!object.error) continue;
    const nlohmann::json line = {{"sha256", object.sha256},
                                 {"path", object.path},
                                 {"code", object.error->code},
                                 {"stage", object.error->stage},
                                 {"message", object.error->message}};
    out += line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  }
  return out;
}

Status add_tables(const Manifest& manifest, archive::ZipWriter& zip) {
  ESP_TRY(zip.add_bytes(kManifestName, to_json(manifest)));
  ESP_TRY(zip.add_bytes("metadata.csv", root_table(manifest)));
  ESP_TRY(zip.add_bytes("statistics.txt", statistics(manifest)));
  for (const auto& [kind, folder] : manifest.folders) {
    const auto artifact = artifact_tables().find(kind);
    if (artifact != artifact_tables().end())
      ESP_TRY(zip.add_bytes(folder + "/metadata.csv", artifact_table(manifest, artifact->second)));
    else if (kind == "asset_stats")
      ESP_TRY(zip.add_bytes(folder + "/metadata.csv", stats_table(manifest)));
  }
  const std::string failed = failures(manifest);
  return failed.empty() ? absl::OkStatus() : zip.add_bytes("logs/failures.jsonl", failed);
}

}  // namespace

Result<FileRecord> record_file(std::string path, const std::filesystem::path& file) {
  std::error_code error;
  const uint64_t bytes = std::filesystem::file_size(file, error);
  if (error) return absl::NotFoundError(absl::StrCat(file.string(), ": ", error.message()));
  ESP_ASSIGN(std::string sha256, sha256_hex_of_file(file));
  return FileRecord{std::move(path), bytes, std::move(sha256)};
}

Status write_dataset(Manifest manifest, const FilesOnDisk& files, const std::filesystem::path& output) {
  std::sort(manifest.objects.begin(), manifest.objects.end(), [](const ObjectRecord& a, const ObjectRecord& b) {
    return std::tie(a.sha256, a.path) < std::tie(b.sha256, b.path);
  });
  archive::ZipWriter zip;
  for (ObjectRecord& object : manifest.objects) {
    std::sort(object.files.begin(), object.files.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
    for (const FileRecord& file : object.files) {
      const auto found = files.find(file.path);
      if (found == files.end())
        return absl::InvalidArgumentError(absl::StrCat("dataset file ", file.path, ": not on this machine"));
      ESP_TRY(zip.add_file(file.path, found->second));
    }
  }
  ESP_TRY(add_tables(manifest, zip));
  return zip.finish(output);
}

}  // namespace espalier::dataset
