#pragma once

#include <string_view>

#include "mesh/scene.h"

namespace espalier::preprocess {

// Turns an imported scene (Z up by its format's convention) so that `axis` of the *file's* frame points up: "x", "-x",
// "y", "-y", "z" or "-z"; empty leaves it. glTF and OBJ files are taken as Y up, the others as they were imported.
void turn_up(std::string_view axis, std::string_view file_name, mesh::Scene& scene);

}  // namespace espalier::preprocess
