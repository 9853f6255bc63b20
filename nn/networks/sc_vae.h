#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "common/status.h"
#include "nn/networks/sc_vae_config.h"
#include "nn/parameters.h"
#include "nn/sparse/sparse_tensor.h"

// The sparse-compression VAE of voxels: 2^(levels - 1) cells per side become one latent cell. Shape and texture use the
// same two classes; nn/networks/voxel_channels.h says what their channels mean.
// Reference: TRELLIS.2 trellis2/models/sc_vaes/sparse_unet_vae.py and fdg_vae.py.
namespace espalier::nn {

// Mean and log-variance of the latent on the coarsest cells: each [N, latent] fp32, rows ascending by (sample, x, y,
// z).
struct SparsePosterior {
  SparseTensor mean;
  at::Tensor log_variance;
};

// Voxels [T, in] fp32 to latent cells. Differentiable; thread-safe.
class ScVaeEncoder {
 public:
  static std::vector<ParameterSpec> parameter_specs(const ScVaeConfig& config);
  static Result<std::unique_ptr<ScVaeEncoder>> create(const ScVaeConfig& config, const TensorMap& tensors);
  static TensorMap init_parameters(const ScVaeConfig& config, at::Generator generator);  // fp32
  ~ScVaeEncoder();

  SparsePosterior forward(const SparseTensor& voxels) const;

  const ScVaeConfig& config() const;
  const TensorMap& parameters() const;

 private:
  struct Layers;
  explicit ScVaeEncoder(std::unique_ptr<Layers> layers);
  std::unique_ptr<Layers> layers_;
};

struct ScVaeDecoded {
  SparseTensor voxels;  // [M, out] fp32; children of a cell follow each other, cells in the latent's row order
  // Of every level but the finest, [N_level, 8]: what was predicted (logits of the blocks' type) or the given guide. A
  // child exists where it is above 0; slot = (x&1) + 2*(y&1) + 4*(z&1).
  std::vector<at::Tensor> subdivisions;
  // The logits of a decoder that predicts, also where a guide overruled them: what training compares with the guide.
  // Empty when it predicts none.
  std::vector<at::Tensor> predictions;
};

// Latent cells [N, latent] fp32, in the VAE's own space (not normalised), to voxels. Children that the subdivision
// denies are never computed. Differentiable (not through the subdivision's decision); thread-safe.
class ScVaeDecoder {
 public:
  static std::vector<ParameterSpec> parameter_specs(const ScVaeConfig& config);
  static Result<std::unique_ptr<ScVaeDecoder>> create(const ScVaeConfig& config, const TensorMap& tensors);
  static TensorMap init_parameters(const ScVaeConfig& config, at::Generator generator);  // fp32
  ~ScVaeDecoder();

  // `guide`: subdivisions to follow instead of predicting them, by level. The texture decoder takes those of the shape
  // decoder, whose latent must have had the same cells in the same row order. Empty: predict.
  ScVaeDecoded forward(const SparseTensor& latent, const std::vector<at::Tensor>& guide = {}) const;

  // The cells [M, 4] int32 after the first `levels` splits, 0 .. config().levels() - 1, as forward() would reach them.
  at::Tensor upsample(const SparseTensor& latent, int64_t levels) const;

  const ScVaeConfig& config() const;
  const TensorMap& parameters() const;

 private:
  struct Layers;
  explicit ScVaeDecoder(std::unique_ptr<Layers> layers);
  std::unique_ptr<Layers> layers_;
};

}  // namespace espalier::nn
