#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "common/status.h"
#include "infer/samplers/params.h"
#include "nano/structured_latents.h"
#include "nn/io/base_model.h"
#include "nn/networks/slat_flow.h"

namespace espalier::nano {

// One sample of an object's texture on the cells of its shape, [T, C] float32 in the texture decoder's space.
//   shape   as the shape encoder gives it
//   tokens  [1, L, C] of the picture
// Errors of infer::sample().
Result<at::Tensor> generated_texture(const nn::SLatFlow& flow, const nn::BaseModel& base,
                                     const infer::SamplerParams& params, const StructuredLatent& shape,
                                     const at::Tensor& tokens, uint64_t seed);

}  // namespace espalier::nano
