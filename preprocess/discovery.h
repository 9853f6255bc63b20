#pragma once

#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "common/status.h"
#include "preprocess/asset_source.h"

namespace espalier::preprocess {

// One asset file of the input.
struct Asset {
  std::string path;           // below the source's root
  std::string sha256;         // of its bytes: the object's identity
  std::string bundle_sha256;  // of it and its possible companions
  std::string duplicate_of;   // sha256 when an earlier path has the same bytes
  bool excluded = false;
  // From manifest.csv:
  std::string name;
  std::string split = "train";
  int repeat = 1;
  double aesthetic_score = 10;
  std::string up_axis;                       // as written; empty: the format's convention
  std::map<std::string, std::string> extra;  // columns we do not know
};

// The assets in path order, with hashes, the manifest.csv of the input (at its top, or in its single top folder)
// applied, and duplicates marked.
//
// Companions (.bin, .mtl and images) in the asset's folder and below belong to the bundle of a .gltf, .obj, .fbx or
// .blend.
// INVALID_ARGUMENT: no assets, or faults in manifest.csv, all of them: unknown path, missing column, a bad value.
Result<std::vector<Asset>> discover(const AssetSource& source, std::stop_token stop);

}  // namespace espalier::preprocess
