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
  std::optional<ObjectError> error;           // of the first stage that failed
  std::map<std::string, int64_t> tokens;      // ss: occupied cells; shape, pbr: latent cells
  std::map<int, int64_t> voxels;              // voxels per side -> active voxels
  int64_t faces = 0, vertices = 0;
  std::map<std::string, int64_t> textures;   // basecolor, metallic, roughness, alpha: how many materials have one
  std::map<std::string, std::string> extra;  // further columns of the user's manifest.csv, kept as they are
  std::vector<FileRecord> files;             // sorted by path
};

// Of status ok or partial.
bool is_prepared(const ObjectRecord& object);
// Prepared, and with data for `stage`.
bool is_usable(const ObjectRecord& object, const std::string& stage);
// Of ObjectRecord::tokens; 0 when not recorded.
int64_t token_count(const ObjectRecord& object, const std::string& kind);

// Over the objects that are usable for a stage.
struct TokenSummary {
  int64_t min = 0, max = 0, sum = 0;
};

struct StageSummary {
  bool ready = false;
  int64_t objects = 0;
  std::string reason;                                 // when not ready
  std::optional<TokenSummary> tokens = std::nullopt;  // of a stage with structured latents
  int64_t max_tokens = 0;                             // objects with more are left out of the stage; 0: no such limit
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

// How surfaces became flexible dual grids: the weights of ovoxel::dual_grid over the cube [-0.5, 0.5]^3.
struct VoxelizerRecord {
  std::string version;
  double face_weight = 1, boundary_weight = 0.2, regularization_weight = 0.01;
};

// Per channel: what training subtracts from a latent, and then divides it by. The stored latents are not normalised.
struct NormalizationRecord {
  std::vector<double> mean, std;
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
  std::optional<VoxelizerRecord> voxelizer;                  // when dual grids were made
  std::map<std::string, NormalizationRecord> normalization;  // kind -> the base's; for information
  SourceRecord source;
  std::vector<ObjectRecord> objects;  // sorted by sha256, then path
};

// Voxels along each side of one cell of a structured latent.
inline constexpr int kVoxelsPerCell = 16;
// Cells per side of the tier's structured latents: resolution * grid_scale / 16. 0: the tier does not divide into
// cells, or into more than the 256 that a coordinate of one byte tells apart.
int latent_grid(const Manifest& manifest);

// Structured latents of more cells are not used for training: the limits of the reference's configs for the tiers 512,
// 1024.
constexpr int64_t max_latent_tokens(int resolution) { return resolution <= 512 ? 8192 : 32768; }

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
