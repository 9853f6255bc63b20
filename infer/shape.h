#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <map>
#include <vector>

#include "common/status.h"
#include "infer/adapters.h"
#include "infer/latent_pass.h"
#include "infer/pipeline.h"
#include "infer/stage.h"
#include "nn/io/base_model.h"
#include "nn/networks/sc_vae.h"
#include "nn/sparse/sparse_tensor.h"
#include "ovoxel/dual_mesh.h"

// The second stage: structured latents on the occupied cells, and the flexible dual grid they stand for.
// Reference: TRELLIS.2 trellis2/pipelines/trellis2_image_to_3d.py, sample_shape_slat, sample_shape_slat_cascade and
// decode_shape_slat.
namespace espalier::infer {

using ShapeNetworks = LatentNetworks;

struct ShapeSettings {
  Pipeline pipeline{};
  PipelineGrids grids;
  int64_t samples = 1;
  int64_t max_num_tokens = 49152;  // that a cascade is reduced to, over all samples; may be missed at its lowest
  int64_t token_limit = 131072;    // above which nothing is sampled
  SamplerParams params;            // of every pass
  nn::LatentNormalization normalization;
};

struct ShapeLatent {
  nn::SparseTensor cells;  // feats [T, C] float32 in the decoder's space; samples in order
  int64_t voxels = 0;      // per side of the grid that they decode to
};

// Samples the shape in one or two passes: "shape_low" of a cascade, and "shape".
//
//   coords      [T, 4] int32 occupied cells on the grid of settings.grids.structure, ascending
//   conditions  tier -> [1, L, C] float32 image tokens on the networks' device, for each tier of the pipeline
//
// The noise is one draw [T, C] for each pass. Adapters act for this call only. FAILED_PRECONDITION: a sample without
// cells; RESOURCE_EXHAUSTED: more than token_limit; CANCELLED: stopped.
Result<ShapeLatent> sample_shape(const ShapeNetworks& networks, const ShapeSettings& settings, const at::Tensor& coords,
                                 const std::map<int, at::Tensor>& conditions, const RequestAdapters& adapters,
                                 const Noise& noise, const StageHooks& hooks);

// Base colour (red, green, blue), metallic, roughness, alpha; nominally 0..1, not clamped.
using VoxelMaterial = std::array<float, 6>;

// The decoded grid of one sample: M voxels in the decoder's order.
struct DecodedShape {
  std::vector<ovoxel::Voxel> voxels;
  std::vector<mesh::Vec3> vertices;  // within the voxel, in voxels: -0.5 .. 1.5 for the released decoder
  std::vector<uint8_t> intersected;
  std::vector<float> split_weights;
  int32_t resolution = 0;                // voxels per side of the grid
  std::vector<VoxelMaterial> materials;  // empty: no texture
  std::vector<at::Tensor> subdivision;   // [N_level, 8] bool by level, coarse to fine: guides a texture decoder

  ovoxel::DualGridView view() const { return {voxels, vertices, intersected, split_weights}; }
};

// FAILED_PRECONDITION: no voxel came out, or numbers that are not finite.
Result<DecodedShape> decode_shape(const nn::ScVaeDecoder& decoder, const ShapeLatent& latent, int64_t sample);

}  // namespace espalier::infer
