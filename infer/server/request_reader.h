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
// Errors that are not the caller's (disk full, coordinator away), and FAILED_PRECONDITION for a stage this engine does
// not run, are returned.
Result<GenerateRequest> read_request(const v1::GenerateRequest& message, const std::filesystem::path& folder,
                                     const FetchAdapter& fetch, std::stop_token stop, std::vector<Fault>& faults);

}  // namespace espalier::infer
