#pragma once

#include <string>
#include <vector>

#include "coordinator/config.h"
#include "espalier/v1/jobs.pb.h"
#include "rpc/status.h"

namespace espalier::coordinator {

// What a client may name a request: 8 to 64 characters of [A-Za-z0-9_-].
bool is_request_id(const std::string& text);

// The spec with every default filled in: what a job keeps and shows. Call before validating.
v1::TrainingSpec with_defaults(v1::TrainingSpec spec, const BaseConfig& base);

// Every fault of a spec with its defaults, field paths beginning with `prefix` ("spec"). Existence of the source is not
// checked here. `source_required`: a missing one is a fault.
std::vector<FieldFault> validate_spec(const v1::TrainingSpec& spec, const BaseConfig& base, const std::string& prefix,
                                      bool source_required);

// Every fault of a submit request whose spec has its defaults.
std::vector<FieldFault> validate_submit(const v1::SubmitJobRequest& request, const BaseConfig& base);

// Advice that does not stop a job.
std::vector<std::string> spec_warnings(const v1::TrainingSpec& spec, const BaseConfig& base);

}  // namespace espalier::coordinator
