#pragma once

#include <optional>
#include <string>

#include "common/denoiser.h"
#include "espalier/v1/artefacts.pb.h"
#include "espalier/v1/billing.pb.h"
#include "espalier/v1/common.pb.h"
#include "espalier/v1/jobs.pb.h"

namespace espalier::coordinator {

// "sparse_structure", …; empty for UNSPECIFIED and unknown values.
std::string denoiser_name(v1::Denoiser denoiser);
std::optional<Denoiser> from_proto(v1::Denoiser denoiser);
v1::Denoiser to_proto(Denoiser denoiser);

// "queued", "partially_succeeded", …; "adapter", "log", …; "hold", "capture", …; "low", "normal", ….
std::string state_name(v1::JobState state);
std::string kind_name(v1::ArtefactKind kind);
std::string kind_name(v1::LedgerKind kind);
std::string priority_name(v1::Priority priority);

}  // namespace espalier::coordinator
