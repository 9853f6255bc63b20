#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "common/status.h"
#include "infer/adapters.h"
#include "infer/stage.h"
#include "nn/networks/ss_flow.h"

namespace espalier::infer {

// The first stage, "sparse_structure": latents of which cells of a coarse grid the object occupies.
//
//   condition [1, L, C] float32 image tokens at 512, on the network's device; the same for all samples
//   returns   [samples, C, R, R, R] float32
//
// The noise is one draw of that shape. Adapters act for this call only. CANCELLED: stopped.
// Reference: TRELLIS.2 trellis2/pipelines/trellis2_image_to_3d.py, sample_sparse_structure.
Result<at::Tensor> sample_structure(nn::SparseStructureFlow& flow, const at::Tensor& condition, int64_t samples,
                                    const std::vector<LoadedAdapter>& adapters, const SamplerParams& params,
                                    const Noise& noise, const StageHooks& hooks);

}  // namespace espalier::infer
