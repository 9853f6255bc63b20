#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "mesh/scene.h"

// Objects that belong to none of the training families, for trying an adapter on the nano base. The base is never
// trained on, nor chosen by, any of them.
namespace espalier::nano {

struct DemoObject {
  std::string name;  // a file name without extension
  mesh::Scene scene;
};

// The first `count` of: letter E, helix, star prism, gyroid patch, propeller, knot, letter S, spiral wall. All are in
// several colours, in stripes, checks or parts; some of them in part of metal.
// INVALID_ARGUMENT: count outside 1..8.
Result<std::vector<DemoObject>> demo_objects(int count);

// Writes the objects as binary glTF files. A path ending in .zip gets one archive of them, else it is a folder that
// is made when missing.
Status write_demo_assets(const std::filesystem::path& path, int count);

}  // namespace espalier::nano
