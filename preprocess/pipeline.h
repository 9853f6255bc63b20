#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>

#include "common/status.h"
#include "preprocess/importer.h"

// From a user's 3D assets to a prepared dataset. Free of torch.
//
//   archive -> discovery -> import (sandboxed) -> normalise -> voxels -> occupancy -> structure latent ;
//   -> dual grid -> shape latent ; -> materials in voxels -> texture latent ; -> views ; -> dataset
//
// A dataset serves all stages that its base has an encoder for, whatever a job trains first.
namespace espalier::preprocess {

struct PreprocessConfig {
  std::filesystem::path input;   // .zip (assets, or a prepared dataset), a folder, or one asset file
  std::filesystem::path output;  // the prepared dataset, .zip
  std::filesystem::path base;    // base model folder: encoder and grid scale
  int resolution = 512;          // tier: 512 or 1024
  uint64_t seed = 0;             // of cameras, lights and path tracing
  int views = 16;                // condition views per object, 1 .. 150
  int render_resolution = 0;     // pixels per side, 64 .. 2048; 0: 1024 * grid scale of the base
  int render_samples = 32;       // per pixel, 1 .. 4096
  int threads = 0;               // 0: one per core
  // Prepares objects whose file has neither materials nor vertex colours for texture, too: as grey. Else they are left
  // out of it.
  bool texture_from_default_material = false;
  bool keep_voxels = false;  // also writes the dual grids and materials that the latents were made of, as .vxz
  // A preparation may be shared out: shard i of n handles the assets whose place in the sorted discovery is i modulo n
  // and writes a part (preprocess/part.h); merge_parts() joins them. One shard writes the dataset itself.
  int shard = 0, shards = 1;  // 0 <= shard < shards <= 1024
  // Finished objects are kept here, so that a restarted run goes on where the last one stopped. Empty: a temporary
  // folder beside the output, removed at the end.
  std::filesystem::path work_dir;
  Importer importer;
};

// INVALID_ARGUMENT listing every fault at once, one per line.
Status validate(const PreprocessConfig& config);

struct ObjectEvent {
  int64_t done = 0, total = 0, skipped = 0;
  std::string path;
  std::string status;         // ok, partial, failed, duplicate, excluded
  std::string code, message;  // when failed or partial
  double seconds = 0;
};

struct PreprocessObserver {
  std::function<void(int64_t total)> started;      // once, after discovery
  std::function<void(const ObjectEvent&)> object;  // one at a time
  std::function<void(const std::string&)> warning;
};

struct PreprocessResult {
  std::filesystem::path path;
  uint64_t bytes = 0;
  std::string sha256;      // of the zip
  std::string dataset_id;  // of the dataset, or of a part's own objects
  int resolution = 0;      // tier: 512 or 1024
  int64_t objects = 0;     // usable
  int64_t failed = 0;
  int64_t duplicates = 0;
  std::vector<std::string> stages;  // denoisers that there is data for: sparse_structure, geometry, texture
  bool reused = false;              // the input already was a prepared dataset
};

// INVALID_ARGUMENT: a bad config, a malicious archive, a bad manifest.csv, no usable asset, a prepared dataset of
// another resolution or encoder. NOT_FOUND: input or base. RESOURCE_EXHAUSTED: archive over a limit.
// CANCELLED: `stop`; finished objects stay in the work folder. A broken asset is not an error of the run; a part may
// have no usable asset at all.
// The same input, config and base give a byte-identical zip, for any number of threads.
Result<PreprocessResult> preprocess(const PreprocessConfig& config, std::stop_token stop,
                                    const PreprocessObserver& observer = {});

}  // namespace espalier::preprocess
