#include "preprocess/part.h"

#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/str_cat.h"
#include "archive/extract.h"
#include "archive/zip_writer.h"
#include "common/files.h"
#include "dataset/json_fields.h"

namespace espalier::preprocess {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kPartName = "part.json";
constexpr const char* kFormat = "espalier-dataset-part";
constexpr int kVersion = 1;
constexpr int kMaxShards = 1024;
constexpr int64_t kMaxAssets = 1'000'000;

json to_json(const ReusedDataset& reused) {
  json stages = json::object();
  for (const auto& stage : reused.stages) stages[stage] = "ok";
  return {{"sha256", reused.sha256},   {"dataset_id", reused.dataset_id}, {"resolution", reused.resolution},
          {"objects", reused.objects}, {"failed", reused.failed},         {"stages", stages}};
}

json to_json(const Part& part) {
  json out = {{"format", kFormat},     {"format_version", kVersion}, {"shard", part.shard},     {"shards", part.shards},
              {"recipe", part.recipe}, {"assets", part.assets},      {"dataset", json(nullptr)}};
  if (part.reused)
    out["reused"] = to_json(*part.reused);
  else
    out["dataset"] = json::parse(dataset::to_json(part.manifest));
  return out;
}

Result<Part> parse_part(const std::string& text) {
  const json document = json::parse(text, nullptr, false);
  if (!document.is_object()) return absl::InvalidArgumentError("not a JSON object");
  Status status;
  dataset::JsonFields fields(document, "", status);
  if (fields.text("format") != kFormat) fields.fail("format", absl::StrCat("must be \"", kFormat, "\""));
  fields.integer("format_version", kVersion, kVersion);
  Part part;
  part.shards = static_cast<int>(fields.integer("shards", 1, kMaxShards));
  part.shard = static_cast<int>(fields.integer("shard", 0, part.shards - 1));
  part.recipe = fields.text("recipe", 64);
  part.assets = fields.integer("assets", 0, kMaxAssets);
  if (fields.has("reused")) {
    fields.object("reused", [&](dataset::JsonFields& reused) {
      part.reused = {reused.text("sha256", 64),
                     reused.text("dataset_id", 64),
                     static_cast<int>(reused.integer("resolution", 1, 65536)),
                     reused.integer("objects", 1, kMaxAssets),
                     reused.integer("failed", 0, kMaxAssets),
                     {}};
      reused.each_text_member(
          "stages", [&](const std::string& stage, const std::string&) { part.reused->stages.push_back(stage); });
    });
  }
  ESP_TRY(status);
  if (part.reused) return part;
  const auto manifest = document.find("dataset");
  if (manifest == document.end()) return absl::InvalidArgumentError("dataset: is missing");
  ESP_ASSIGN(part.manifest, dataset::parse_manifest(manifest->dump()));
  return part;
}

// What a part must hold besides part.json, by path.
std::map<std::string, std::string> expected_files(const Part& part) {
  std::map<std::string, std::string> digests;
  if (part.reused && part.shard == 0) digests[kReusedName] = part.reused->sha256;
  for (const auto& object : part.manifest.objects) {
    for (const auto& file : object.files) digests[file.path] = file.sha256;
  }
  return digests;
}

Status check_files(const Part& part, const std::vector<archive::ExtractedFile>& found, dataset::FilesOnDisk& files) {
  std::map<std::string, std::string> expected = expected_files(part);
  for (const auto& file : found) {
    if (file.name == kPartName) continue;
    const auto digest = expected.find(file.name);
    if (digest == expected.end()) return absl::InvalidArgumentError(absl::StrCat(file.name, ": is not listed"));
    ESP_ASSIGN(const auto record, dataset::record_file(file.name, file.path));
    if (record.sha256 != digest->second) return absl::InvalidArgumentError(absl::StrCat(file.name, ": was changed"));
    files[file.name] = file.path;
    expected.erase(digest);
  }
  if (expected.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(expected.begin()->first, ": is missing"));
}

// Parts come from our own workers and may be as large as datasets are; the rules for names and structure stay.
archive::ExtractOptions options() {
  archive::ExtractOptions options;
  options.limits.max_archive_bytes = options.limits.max_total_bytes = options.limits.max_entry_bytes = uint64_t{4}
                                                                                                       << 40;
  options.limits.max_entries = 4'000'000;
  options.limits.max_seconds = 6 * 3600;
  return options;
}

Result<Part> unpack(const fs::path& path, const fs::path& folder, std::stop_token stop, dataset::FilesOnDisk& files) {
  ESP_ASSIGN(const auto found, archive::extract(path, folder, options(), std::move(stop)));
  const auto text = read_file(folder / kPartName);
  if (!text.ok()) return absl::InvalidArgumentError("is not a part of a preparation: it has no part.json");
  const auto part = parse_part(*text);
  if (!part.ok()) return annotate(part.status(), kPartName);
  ESP_TRY(check_files(*part, found, files));
  return part;
}

}  // namespace

Status write_part(const Part& part, const dataset::FilesOnDisk& files, const fs::path& output) {
  archive::ZipWriter zip;
  for (const auto& [path, digest] : expected_files(part)) {
    const auto found = files.find(path);
    if (found == files.end()) return absl::InvalidArgumentError(absl::StrCat(path, ": not on this machine"));
    ESP_TRY(zip.add_file(path, found->second));
  }
  ESP_TRY(zip.add_bytes(kPartName, to_json(part).dump(1, ' ', false, json::error_handler_t::replace)));
  return zip.finish(output);
}

Result<Part> unpack_part(const fs::path& path, const fs::path& folder, std::stop_token stop,
                         dataset::FilesOnDisk& files) {
  auto part = unpack(path, folder, std::move(stop), files);
  if (!part.ok()) return annotate(part.status(), path.filename().string());
  return part;
}

}  // namespace espalier::preprocess
