#include "dataset/prepared_dataset.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "archive/central_directory.h"
#include "common/sha256.h"
#include "dataset/json_fields.h"

namespace espalier::dataset {
namespace {

using nlohmann::json;

constexpr size_t kMaxObjects = 1'000'000;
constexpr size_t kMaxFilesPerObject = 1024;
constexpr size_t kMaxChannels = 1024;        // of a latent
constexpr int64_t kMany = int64_t{1} << 40;  // of anything that is counted

json file_to_json(const FileRecord& file) {
  return {{"path", file.path}, {"bytes", file.bytes}, {"sha256", file.sha256}};
}

json text_or_null(const std::string& text) { return text.empty() ? json(nullptr) : json(text); }

json object_json(const ObjectRecord& object) {
  json files = json::array(), voxels = json::object(), error = nullptr;
  for (const FileRecord& file : object.files) files.push_back(file_to_json(file));
  for (const auto& [side, count] : object.voxels) voxels[std::to_string(side)] = count;
  if (object.error)
    error = {{"code", object.error->code}, {"stage", object.error->stage}, {"message", object.error->message}};
  return {{"sha256", object.sha256},
          {"path", object.path},
          {"bundle_sha256", text_or_null(object.bundle_sha256)},
          {"name", object.name},
          {"split", object.split},
          {"repeat", object.repeat},
          {"aesthetic_score", object.aesthetic_score},
          {"status", object.status},
          {"duplicate_of", text_or_null(object.duplicate_of)},
          {"stages", object.stages},
          {"error", error},
          {"tokens", object.tokens},
          {"voxels", voxels},
          {"mesh", {{"faces", object.faces}, {"vertices", object.vertices}}},
          {"textures", object.textures},
          {"extra", object.extra},
          {"files", files}};
}

json stages_to_json(const Manifest& manifest) {
  json stages = json::object();
  for (const auto& [name, stage] : manifest.stages) {
    stages[name] = {{"ready", stage.ready}, {"objects", stage.objects}};
    if (!stage.ready) stages[name]["reason"] = stage.reason;
    if (stage.tokens)
      stages[name]["tokens"] = {{"min", stage.tokens->min}, {"max", stage.tokens->max}, {"sum", stage.tokens->sum}};
    if (stage.max_tokens > 0) stages[name]["max_tokens"] = stage.max_tokens;
  }
  return stages;
}

json encoders_to_json(const Manifest& manifest) {
  json encoders = json::object();
  for (const auto& [kind, encoder] : manifest.encoders) {
    encoders[kind] = {
        {"name", encoder.name}, {"sha256", encoder.sha256}, {"dtype", encoder.dtype}, {"posterior", "mean"}};
  }
  return encoders;
}

json render_to_json(const RenderRecord& render) {
  return {{"views", render.views},
          {"size", render.size},
          {"samples", render.samples},
          {"engine", render.engine},
          {"seed", render.seed},
          {"view_transform", render.view_transform},
          {"fov_deg", json::array({10, 70})},
          {"sampler", "hammersley-offset"}};
}

json voxelizer_to_json(const VoxelizerRecord& voxelizer) {
  return {{"version", voxelizer.version},
          {"aabb", {{-0.5, -0.5, -0.5}, {0.5, 0.5, 0.5}}},
          {"face_weight", voxelizer.face_weight},
          {"boundary_weight", voxelizer.boundary_weight},
          {"regularization_weight", voxelizer.regularization_weight}};
}

json normalization_to_json(const Manifest& manifest) {
  json out = json::object();
  for (const auto& [kind, record] : manifest.normalization) out[kind] = {{"mean", record.mean}, {"std", record.std}};
  return out;
}

json source_to_json(const SourceRecord& source) {
  return {{"archive_sha256", source.archive_sha256},
          {"files_discovered", source.files_discovered},
          {"unique_objects", source.unique_objects},
          {"prepared", source.prepared},
          {"failed", source.failed},
          {"duplicates", source.duplicates},
          {"excluded", source.excluded}};
}

bool is_digest(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string digest(JsonFields& fields, const char* key) {
  std::string value = fields.text(key, 64);
  if (!is_digest(value)) fields.fail(key, "must be 64 lower-case hexadecimal digits");
  return value;
}

// One of `allowed`; the first when absent.
std::string choice(JsonFields& fields, const char* key, std::initializer_list<const char*> allowed) {
  std::string value = fields.text_or(key, *allowed.begin());
  const bool known = std::any_of(allowed.begin(), allowed.end(), [&](const char* a) { return value == a; });
  if (!known) fields.fail(key, absl::StrCat("unknown value \"", value.substr(0, 40), "\""));
  return value;
}

std::string dataset_path(JsonFields& fields, const char* key) {
  std::string value = fields.text(key);
  const auto normal = archive::normalize_name(value);
  if (!normal.ok() || *normal != value) fields.fail(key, "must be a plain relative path inside the dataset");
  return value;
}

FileRecord read_file_record(JsonFields& fields) {
  return {dataset_path(fields, "path"), static_cast<uint64_t>(fields.integer("bytes", 0, int64_t{1} << 40)),
          digest(fields, "sha256")};
}

ObjectRecord read_object(JsonFields& fields) {
  ObjectRecord object;
  object.sha256 = digest(fields, "sha256");
  object.path = fields.text_or("path", {});
  object.bundle_sha256 = fields.text_or("bundle_sha256", {}, 64);
  object.name = fields.text_or("name", {});
  object.split = choice(fields, "split", {"train", "val"});
  object.repeat = static_cast<int>(fields.integer_or("repeat", 1, 1, 10'000));
  object.aesthetic_score = fields.number_or("aesthetic_score", 10);
  object.status = choice(fields, "status", {"ok", "partial", "failed", "duplicate", "excluded"});
  object.duplicate_of = fields.text_or("duplicate_of", {}, 64);
  fields.each_text_member("stages", [&](const std::string& name, std::string value) { object.stages[name] = value; });
  fields.each_text_member("extra", [&](const std::string& name, std::string value) { object.extra[name] = value; });
  if (fields.has("error")) {
    fields.object("error", [&](JsonFields& error) {
      object.error = {error.text_or("code", {}), error.text_or("stage", {}), error.text_or("message", {}, 65536)};
    });
  }
  fields.each_integer_member("tokens", [&](const std::string& name, int64_t count) { object.tokens[name] = count; });
  fields.each_integer_member("textures",
                             [&](const std::string& name, int64_t count) { object.textures[name] = count; });
  fields.each_integer_member("voxels", [&](const std::string& name, int64_t count) {
    int side = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), side);
    if (error != std::errc() || *end != '\0') return fields.fail("voxels", "must be keyed by voxels per side");
    object.voxels[side] = count;
  });
  if (fields.has("mesh")) {
    fields.object("mesh", [&](JsonFields& mesh) {
      object.faces = mesh.integer_or("faces", 0, 0, kMany);
      object.vertices = mesh.integer_or("vertices", 0, 0, kMany);
    });
  }
  fields.each_element("files", kMaxFilesPerObject,
                      [&](JsonFields& file) { object.files.push_back(read_file_record(file)); });
  return object;
}

void read_header(JsonFields& fields, Manifest& manifest) {
  if (fields.text("format") != kFormatName)
    fields.fail("format", absl::StrCat("must be \"", std::string(kFormatName), "\""));
  const int64_t needed = fields.integer_or("min_reader_version", 1, 0, 1'000'000);
  if (needed > kFormatVersion)
    fields.fail("min_reader_version", absl::StrCat(needed, " is newer than this program reads (", kFormatVersion, ")"));
  if (fields.has("generator")) {
    fields.object("generator", [&](JsonFields& generator) {
      manifest.generator = generator.text_or("name", {});
      manifest.generator_version = generator.text_or("version", {});
    });
  }
  manifest.base = fields.text_or("base", {});
  manifest.resolution = static_cast<int>(fields.integer("resolution", 1, 65536));
  manifest.grid_scale = fields.number_or("grid_scale", 1);
  if (!(manifest.grid_scale > 0 && manifest.grid_scale <= 1))
    fields.fail("grid_scale", "must be above 0 and at most 1");
  manifest.ss_resolution = static_cast<int>(fields.integer("ss_resolution", 1, 256));
}

StageSummary read_stage(JsonFields& fields) {
  StageSummary stage;
  stage.ready = fields.boolean_or("ready", false);
  stage.objects = fields.integer_or("objects", 0, 0, kMaxObjects);
  stage.reason = fields.text_or("reason", {});
  stage.max_tokens = fields.integer_or("max_tokens", 0, 0, kMany);
  if (fields.has("tokens")) {
    fields.object("tokens", [&](JsonFields& tokens) {
      stage.tokens = {tokens.integer("min", 0, kMany), tokens.integer("max", 0, kMany),
                      tokens.integer("sum", 0, INT64_MAX)};
    });
  }
  return stage;
}

// The informative records.
void read_recipe(JsonFields& fields, Manifest& manifest) {
  if (fields.has("voxelizer")) {
    fields.object("voxelizer", [&](JsonFields& voxelizer) {
      manifest.voxelizer = {voxelizer.text_or("version", {}), voxelizer.number_or("face_weight", 1),
                            voxelizer.number_or("boundary_weight", 0.2),
                            voxelizer.number_or("regularization_weight", 0.01)};
    });
  }
  fields.each_member("normalization", [&](const std::string& kind, JsonFields& record) {
    manifest.normalization[kind] = {record.numbers("mean", kMaxChannels), record.numbers("std", kMaxChannels)};
  });
}

void read_parts(JsonFields& fields, Manifest& manifest) {
  fields.each_member("stages",
                     [&](const std::string& name, JsonFields& stage) { manifest.stages[name] = read_stage(stage); });
  fields.each_text_member("folders", [&](const std::string& kind, std::string folder) {
    const auto normal = archive::normalize_name(folder);
    if (!normal.ok() || *normal != folder) fields.fail("folders", "must hold plain relative paths");
    manifest.folders[kind] = std::move(folder);
  });
  fields.each_member("encoders", [&](const std::string& kind, JsonFields& encoder) {
    manifest.encoders[kind] = {encoder.text_or("name", {}), encoder.text_or("sha256", {}),
                               encoder.text_or("dtype", {})};
  });
  fields.object("render", [&](JsonFields& render) {
    manifest.render.views = static_cast<int>(render.integer("views", 1, 1000));
    manifest.render.size = static_cast<int>(render.integer("size", 1, 16384));
    manifest.render.samples = static_cast<int>(render.integer_or("samples", 0, 0, 1 << 20));
    manifest.render.engine = render.text_or("engine", {});
    manifest.render.view_transform = render.text_or("view_transform", {});
    manifest.render.seed = static_cast<uint64_t>(render.integer_or("seed", 0, 0, INT64_MAX));
  });
  if (!fields.has("source")) return;
  fields.object("source", [&](JsonFields& source) {
    const auto count = [&](const char* key) { return source.integer_or(key, 0, 0, kMaxObjects); };
    manifest.source = {source.text_or("archive_sha256", {}),
                       count("files_discovered"),
                       count("unique_objects"),
                       count("prepared"),
                       count("failed"),
                       count("duplicates"),
                       count("excluded")};
  });
}

}  // namespace

bool is_prepared(const ObjectRecord& object) { return object.status == "ok" || object.status == "partial"; }

bool is_usable(const ObjectRecord& object, const std::string& stage) {
  const auto found = object.stages.find(stage);
  return is_prepared(object) && found != object.stages.end() && found->second == "ok";
}

int64_t token_count(const ObjectRecord& object, const std::string& kind) {
  const auto found = object.tokens.find(kind);
  return found == object.tokens.end() ? 0 : found->second;
}

int latent_grid(const Manifest& manifest) {
  const double cells = manifest.resolution * manifest.grid_scale / kVoxelsPerCell;
  return cells >= 1 && cells <= 256 && cells == std::floor(cells) ? static_cast<int>(cells) : 0;
}

std::string dataset_id(const Manifest& manifest) {
  json all = json::array();
  for (const ObjectRecord& object : manifest.objects) {
    json files = json::array();
    for (const FileRecord& file : object.files) files.push_back(file_to_json(file));
    all.push_back(std::move(files));
  }
  return sha256_hex(all.dump());
}

std::string to_json(const Manifest& manifest) {
  json objects = json::array();
  uint64_t bytes = 0, files = 0;
  for (const ObjectRecord& object : manifest.objects) {
    objects.push_back(object_json(object));
    for (const FileRecord& file : object.files) bytes += file.bytes, ++files;
  }
  json document = {
      {"format", kFormatName},
      {"format_version", kFormatVersion},
      {"min_reader_version", 1},
      {"dataset_id", dataset_id(manifest)},
      {"created_utc", nullptr},
      {"generator", {{"name", manifest.generator}, {"version", manifest.generator_version}}},
      {"base", manifest.base},
      {"resolution", manifest.resolution},
      {"grid_scale", manifest.grid_scale},
      {"ss_resolution", manifest.ss_resolution},
      {"stages", stages_to_json(manifest)},
      {"folders", manifest.folders},
      {"encoders", encoders_to_json(manifest)},
      {"render", render_to_json(manifest.render)},
      {"normalization", normalization_to_json(manifest)},
      {"source", source_to_json(manifest.source)},
      {"objects", objects},
      {"totals", {{"bytes", bytes}, {"files", files}}},
  };
  if (manifest.voxelizer) document["voxelizer"] = voxelizer_to_json(*manifest.voxelizer);
  return document.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

Result<Manifest> parse_manifest(std::string_view text) {
  const json document = json::parse(text, nullptr, false);
  if (document.is_discarded()) return absl::InvalidArgumentError("prepared_dataset.json: not valid JSON");
  Status status;
  Manifest manifest;
  JsonFields fields(document, "", status);
  read_header(fields, manifest);
  read_parts(fields, manifest);
  read_recipe(fields, manifest);
  fields.each_element("objects", kMaxObjects,
                      [&](JsonFields& object) { manifest.objects.push_back(read_object(object)); });
  if (status.ok() && fields.text("dataset_id") != dataset_id(manifest))
    fields.fail("dataset_id", "does not belong to the listed files");
  if (!status.ok()) return annotate(status, "prepared_dataset.json");
  return manifest;
}

std::string object_to_json(const ObjectRecord& object) {
  return object_json(object).dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

Result<ObjectRecord> parse_object(std::string_view text) {
  const json document = json::parse(text, nullptr, false);
  if (document.is_discarded()) return absl::InvalidArgumentError("not valid JSON");
  Status status;
  JsonFields fields(document, "", status);
  ObjectRecord object = read_object(fields);
  if (!status.ok()) return status;
  return object;
}

}  // namespace espalier::dataset
