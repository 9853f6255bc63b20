#pragma once

#include <stop_token>
#include <vector>

#include "common/files.h"
#include "espalier/v1/inference.pb.h"
#include "infer/request.h"
#include "infer/server/inference_service.h"

namespace espalier::infer {

// Turns a message into a request of the engine. Adapters become files in `folder`; what is wrong with a field, or with
// getting an adapter, is appended to `faults`, so that all faults of a request are found in one go.
// Errors that are not the caller's (disk full, coordinator away) are returned.
Result<GenerateRequest> read_request(const v1::GenerateRequest& message, const std::filesystem::path& folder,
                                     const FetchAdapter& fetch, std::stop_token stop, std::vector<Fault>& faults);

OutputOptions read_extraction(const v1::ExtractGlbRequest& message, std::vector<Fault>& faults);

// As read_request; the mesh is read by `import_mesh` in `folder`, and what it refuses is a fault of "mesh_file".
Result<RetextureRequest> read_retexture(const v1::RetextureRequest& message, const std::filesystem::path& folder,
                                        const FetchAdapter& fetch, const ImportMesh& import_mesh, std::stop_token stop,
                                        std::vector<Fault>& faults);

}  // namespace espalier::infer
