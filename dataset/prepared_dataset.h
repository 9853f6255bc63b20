#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

// The content of prepared_dataset.json, version 1: what a prepared dataset holds, how it was made, and the hash of
// every file. Unknown keys are ignored on reading.
namespace espalier::dataset {

inline constexpr int kFormatVersion = 1;
inline constexpr std::string_view kFormatName = "trellis2-prepared-dataset";
inline constexpr std::string_view kManifestName = "prepared_dataset.json";

struct FileRecord {
  std::string path;  // in the dataset
  uint64_t bytes = 0;
  std::string sha256;
};

struct ObjectError {
  std::string code;   // UNREADABLE, EMPTY_MESH, TIMEOUT, …
  std::string stage;  // load, voxelize, encode, render
  std::string message;
};

struct ObjectRecord {
  std::string sha256;           // of the main asset file: the object's identity
  std::string path;             // in the archive it came from
  std::string bundle_sha256;    // of the main file and its companions
  std::string name;             // shown to people; empty: none
  std::string split = "train";  // train or val
  int repeat = 1;               // how often an epoch shows it, >= 1
  double aesthetic_score = 10;
  std::string status = "ok";                  // ok, partial, failed, duplicate, excluded
  std::string duplicate_of;                   // sha256, for status duplicate
  std::map<std::string, std::string> stages;  // stage -> ok, or why not
  std::optional<ObjectError> error;
  int64_t occupied = 0;           // active sparse-structure voxels
  std::map<int, int64_t> voxels;  // voxels per side -> active voxels
  int64_t faces = 0, vertices = 0;
  std::map<std::string, std::string> extra;  // further columns of the user's manifest.csv, kept as they are
  std::vector<FileRecord> files;             // sorted by path
};

struct StageSummary {
  bool ready = false;
  int64_t objects = 0;
  std::string reason;  // when not ready
};

struct EncoderRecord {
  std::string name;    // checkpoint stem without folder
  std::string sha256;  // of the checkpoint
  std::string dtype;
};

struct RenderRecord {
  int views = 16;
  int size = 1024;  // pixels per side
  int samples = 32;
  std::string engine;
  std::string view_transform;
  uint64_t seed = 0;
};

struct SourceRecord {
  std::string archive_sha256;
  int64_t files_discovered = 0, unique_objects = 0, prepared = 0, failed = 0, duplicates = 0, excluded = 0;
};

struct Manifest {
  std::string generator = "espalier";
  std::string generator_version;
  std::string base;        // name of the base whose encoders were used
  int resolution = 512;    // tier: 512 or 1024
  double grid_scale = 1;   // of the base: voxels per side = resolution * grid_scale
  int ss_resolution = 64;  // occupancy voxels per side
  std::map<std::string, StageSummary> stages;
  std::map<std::string, std::string> folders;  // kind -> folder
  std::map<std::string, EncoderRecord> encoders;
  RenderRecord render;
  SourceRecord source;
  std::vector<ObjectRecord> objects;  // sorted by sha256, then path
};

// SHA-256 of the canonical JSON (sorted keys, no spaces) of the files of all objects in order: equal content, equal id.
std::string dataset_id(const Manifest& manifest);

// Deterministic, indented by one space, ending in a newline. `created_utc` is null: the text depends on the content
// only.
std::string to_json(const Manifest& manifest);

// One object, as it stands in the list of objects; used to keep finished objects between runs.
std::string object_to_json(const ObjectRecord& object);
Result<ObjectRecord> parse_object(std::string_view json);

// INVALID_ARGUMENT: not JSON, another format, a newer `min_reader_version`, a missing or ill-typed field (named), a
// path that leaves the dataset, more than a million objects, or a dataset_id that does not belong to the files.
Result<Manifest> parse_manifest(std::string_view json);

}  // namespace espalier::dataset
