#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "dataset/prepared_dataset.h"

// Reading a prepared dataset, zip or folder, that may come from a stranger.
//
//   ESP_ASSIGN(auto data, PreparedDataset::open("dataset.zip"));
//   for (const Object& object : data.objects()) { ESP_ASSIGN(auto z, object.ss_latent()); ... }
namespace espalier::dataset {

// The files of an opened dataset (zip entries or a folder's); shared by its objects, thread-safe.
class FileSource;

// A structured latent: features on the occupied cells of a grid, T of them; of an object's shape or of its texture.
struct StructuredLatent {
  std::vector<uint8_t> coords;  // [T, 3] x, y, z, each below the grid's side; no two the same, in the file's order
  std::vector<float> feats;     // [T, C] the posterior mean, not normalised
  int channels = 0;             // C
};

// An object that is usable for at least one stage: files were listed, have the right sizes and hashes, and the stage's
// latent has the right shape and only finite values. A light value; copies share the dataset. The reading functions are
// const and thread-safe; nothing is cached, each call reads and decodes.
class Object {
 public:
  std::string sha256;
  std::string name;       // may be empty
  std::string split;      // "train" or "val"
  int repeat = 1;         // >= 1
  int ss_channels = 0;    // C; 0: not usable for sparse_structure
  int ss_grid = 0;        // r, side of the sparse-structure latent (16 official, 4 nano)
  int ss_resolution = 0;  // side of the occupancy grid (64 official, 16 nano)
  int shape_tokens = 0;   // T, 1 .. max_latent_tokens(); 0: not usable for geometry
  int shape_channels = 0;
  int shape_grid = 0;      // cells per side of the shape latent (tier 512: 32 official, 8 nano)
  int texture_tokens = 0;  // T, that of the shape; 0: not usable for texture
  int texture_channels = 0;
  int texture_grid = 0;  // that of the shape

  // z [C, r, r, r] float32, x slowest of the three axes; the posterior mean, not normalised.
  // FAILED_PRECONDITION: not usable for sparse_structure.
  Result<std::vector<float>> ss_latent() const;

  // FAILED_PRECONDITION: not usable for geometry.
  Result<StructuredLatent> shape_latent() const;

  // On the cells of shape_latent(), in the same order. FAILED_PRECONDITION: not usable for texture.
  Result<StructuredLatent> texture_latent() const;

  // Condition views: number, and the PNG file (RGBA, straight alpha) of view i < views().
  size_t views() const { return view_paths.size(); }
  Result<std::string> view_png(size_t i) const;

  // The occupied voxels, [M, 3] (x, y, z) sorted, each < ss_resolution; nullopt when the dataset stores none.
  Result<std::optional<std::vector<uint8_t>>> occupancy() const;

  std::vector<std::string> view_paths;  // inside the dataset, in view order
  std::string ss_latent_path;
  std::string occupancy_path;  // empty: not stored
  std::string shape_latent_path;
  std::string texture_latent_path;

  std::shared_ptr<const FileSource> source;
};

struct OpenOptions {
  int threads = 0;            // of the verification; 0: one per core
  bool verify_hashes = true;  // false only where the same bytes were verified before (a second rank on this machine)
};

class PreparedDataset {
 public:
  // Validates everything an Object promises. A missing, changed or malformed latent makes its object unusable for that
  // stage, and a shape latent also for texture; an object with a bad view, or without a stage left, is dropped. Both
  // are named in warnings(); no object left is an error. A dataset whose manifest promises none of the three stages
  // opens with no objects.
  //
  // NOT_FOUND: no such path. INVALID_ARGUMENT: not a prepared dataset (see dataset/layout.h for the detection), a
  // malicious archive, a .pickle file, a bad manifest, no usable object.
  static Result<PreparedDataset> open(const std::filesystem::path& path, const OpenOptions& options = {});

  const Manifest& manifest() const { return manifest_; }
  const std::string& id() const { return id_; }                    // dataset_id
  const std::vector<Object>& objects() const { return objects_; }  // sorted by sha256
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  Manifest manifest_;
  std::string id_;
  std::vector<Object> objects_;
  std::vector<std::string> warnings_;
};

}  // namespace espalier::dataset
