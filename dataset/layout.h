#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

// Names inside a prepared dataset, and telling prepared datasets from raw archives.
namespace espalier::dataset {

// True for the file extensions of 3D assets: .glb .gltf .obj .fbx .stl .ply .blend, in any case.
bool is_asset_name(std::string_view path);

// True for what discovery skips: a component starting with '.', __MACOSX, Thumbs.db, desktop.ini.
bool is_hidden_name(std::string_view path);

enum class Kind { kRaw, kPrepared };

struct Detection {
  Kind kind = Kind::kRaw;
  std::string root;  // of a prepared dataset: "" or the one top folder it sits in, with a trailing '/'
};

// Prepared: metadata.csv and prepared_dataset.json, at the top or inside a single top folder. Raw: everything else.
// INVALID_ARGUMENT (message starts with "MIXED_ARCHIVE"): a prepared dataset together with assets.
Result<Detection> detect(const std::vector<std::string>& names);

// "ss_latents/<encoder>_<grid>", e.g. ss_latents/ss_enc_conv3d_16l8_fp16_64; `grid` is the occupancy grid's side.
std::string ss_latent_folder(std::string_view encoder, int grid);
// "shape_latents/<encoder>_<tier>", e.g. shape_latents/shape_enc_next_dc_f16c32_fp16_512; `tier` is 512 or 1024, also
// of a base with smaller grids.
std::string shape_latent_folder(std::string_view encoder, int tier);
// "pbr_latents/<encoder>_<tier>", of the texture latents, likewise.
std::string pbr_latent_folder(std::string_view encoder, int tier);
std::string ss_occupancy_folder(int grid);  // "ss_occupancy_<grid>"
std::string dual_grid_folder(int side);     // "dual_grid_<voxels per side>"
std::string pbr_voxels_folder(int side);    // "pbr_voxels_<voxels per side>"
std::string view_name(int index);           // "000.png"

}  // namespace espalier::dataset
