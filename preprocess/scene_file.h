#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/status.h"
#include "mesh/import.h"
#include "mesh/scene.h"

// The result of an import child: a scene or an error, as one flat file of length-prefixed arrays.
//
// The child has parsed a stranger's file and may be under a stranger's control, so its result is read as strictly as
// the file itself would be: every count is checked against the bytes that are left before anything is allocated, every
// index and enumeration against its range, every number for finiteness.
namespace espalier::preprocess {

std::string write_scene(const mesh::Scene& scene);
// `error` is a status as import_scene returns it.
std::string write_import_error(const Status& error);

// The scene, or the error that the child reports. INVALID_ARGUMENT "UNREADABLE: ..." for a malformed result.
Result<mesh::Scene> read_import_result(std::string_view bytes, const mesh::ImportLimits& limits = {});

}  // namespace espalier::preprocess
