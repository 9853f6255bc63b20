#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "common/status.h"
#include "infer/latent_pass.h"
#include "infer/shape.h"

// The third stage: a second latent on the cells of the shape, and the material of each voxel that it stands for.
// Reference: TRELLIS.2 trellis2/pipelines/trellis2_image_to_3d.py, sample_tex_slat and decode_tex_slat.
namespace espalier::infer {

struct TextureSettings {
  int64_t samples = 1;
  SamplerParams params;
  nn::LatentNormalization shape, texture;
};

// Samples the texture of a shape; stage "texture". The network sees the shape's normalised latent at each cell.
//
//   shape      feats [T, C] float32 in the shape decoder's space
//   condition  [1, L, C] float32 image tokens of the flow's tier, on its device
//   returns    [T, Ct] float32 in the texture decoder's space, on the shape's rows
//
// The noise is one draw [T, Ct]. Adapters act for this call only. CANCELLED: stopped.
Result<nn::SparseTensor> sample_texture(nn::SLatFlow& flow, const nn::SparseTensor& shape, const at::Tensor& condition,
                                        const TextureSettings& settings, const std::vector<LoadedAdapter>& adapters,
                                        const Noise& noise, const StageHooks& hooks);

// The materials [M] of one sample's voxels, in the order of the subdivision's voxels.
//
//   subdivision  by level, on the sample's cells in the texture's row order (DecodedShape::subdivision)
//
// FAILED_PRECONDITION: numbers that are not finite.
Result<std::vector<VoxelMaterial>> decode_texture(const nn::ScVaeDecoder& decoder, const nn::SparseTensor& texture,
                                                  const std::vector<at::Tensor>& subdivision, int64_t sample);

}  // namespace espalier::infer
