#pragma once

#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

#include "common/status.h"
#include "dataset/prepared_dataset.h"
#include "preprocess/discovery.h"
#include "preprocess/encoders.h"
#include "preprocess/object_store.h"
#include "preprocess/pipeline.h"

namespace espalier::preprocess {

// What all objects of a run share. Read only; used from several threads.
struct ObjectSettings {
  std::filesystem::path root;     // of the assets
  std::filesystem::path scratch;  // for import results
  Importer importer;
  int voxel_resolution = 1024;  // voxels per side: the highest tier of the base
  int ss_resolution = 64;       // occupancy cells per side
  int shape_resolution = 512;   // voxels per side of the dual grid and the materials: the tier of the run
  int64_t max_latent_tokens = 0;
  bool texture_from_default_material = false;
  dataset::VoxelizerRecord voxelizer;
  int views = 16;
  int render_size = 1024;
  int render_samples = 32;
  uint64_t seed = 0;
  int threads = 1;  // inside one object
  // In the dataset.
  std::string latent_folder, occupancy_folder, shape_folder, texture_folder, render_folder;
  std::string dual_grid_folder, pbr_voxels_folder;  // empty: not kept
};

// One asset through all stages: import, normalise, voxels, occupancy, latents, views; its files are committed to the
// store. The record has status "ok", or "partial" with the error that left it without geometry or texture data. Stages
// without an encoder are not tried. Texture is "no_material" for an object whose file says nothing of its looks, unless
// `texture_from_default_material`.
//
// An error that belongs to the asset starts with a code ("EMPTY_MESH: ..."); `stage` then says where: load, voxelize,
// encode or render. Any other error (CANCELLED, no disk space, no child process) belongs to the run.
Result<dataset::ObjectRecord> prepare_object(const Asset& asset, const ObjectSettings& settings,
                                             const Encoders& encoders, const ObjectStore& store, std::stop_token stop,
                                             std::string& stage, std::vector<std::string>& warnings);

// The upper-case code in front of a message's first colon; empty: the status does not belong to an asset.
std::string asset_error_code(const Status& status);

// A status with such a code, as datasets keep it.
dataset::ObjectError asset_error(const Status& status, const std::string& stage);

}  // namespace espalier::preprocess
