#pragma once

#include "espalier/v1/jobs.pb.h"

// Short names of the denoisers for tables of expectations.
namespace espalier::coordinator {

inline constexpr auto kSs = v1::DENOISER_SPARSE_STRUCTURE;
inline constexpr auto kGeo = v1::DENOISER_GEOMETRY;
inline constexpr auto kTex = v1::DENOISER_TEXTURE;

}  // namespace espalier::coordinator
