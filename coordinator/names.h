#pragma once

#include <optional>
#include <string>

#include "common/denoiser.h"
#include "espalier/v1/common.pb.h"

namespace espalier::coordinator {

// "sparse_structure", …; empty for UNSPECIFIED and unknown values.
std::string denoiser_name(v1::Denoiser denoiser);
std::optional<Denoiser> from_proto(v1::Denoiser denoiser);
v1::Denoiser to_proto(Denoiser denoiser);

}  // namespace espalier::coordinator
