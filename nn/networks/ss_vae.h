#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "common/status.h"
#include "nn/parameters.h"

namespace espalier::nn {

// Constructor arguments of the sparse-structure VAE's two halves.
struct SsVaeConfig {
  int64_t io_channels = 1;  // in_channels of the encoder, out_channels of the decoder
  int64_t latent_channels = 0;
  int64_t num_res_blocks = 2;
  int64_t num_res_blocks_middle = 2;
  std::vector<int64_t> channels;      // one per level, in the order the network runs them
  at::ScalarType dtype = at::kFloat;  // of the residual blocks: float16 with use_fp16. Set to float32 to run wider
  bool group_norm = false;            // norm_type "group": the output norm only

  // From the `args` object of a model file. INVALID_ARGUMENT names the field and what it allows.
  static Result<SsVaeConfig> parse(const nlohmann::json& args);
};

// Mean and log-variance of the latent, each [B, latent, N', N', N'] fp32.
struct Posterior {
  at::Tensor mean;
  at::Tensor log_variance;
};

// Occupancy [B, in, N, N, N] (0 or 1, fp32; axes x, y, z) to latent; N' = N / 2^(levels - 1).
// Differentiable; thread-safe. Reference: TRELLIS.2 trellis2/models/sparse_structure_vae.py.
class SparseStructureEncoder {
 public:
  static std::vector<ParameterSpec> parameter_specs(const SsVaeConfig& config);
  static Result<std::unique_ptr<SparseStructureEncoder>> create(const SsVaeConfig& config, const TensorMap& tensors);
  static TensorMap init_parameters(const SsVaeConfig& config, at::Generator generator);  // fp32
  ~SparseStructureEncoder();

  Posterior forward(const at::Tensor& occupancy) const;

  const SsVaeConfig& config() const;
  const TensorMap& parameters() const;

 private:
  struct Layers;
  explicit SparseStructureEncoder(std::unique_ptr<Layers> layers);
  std::unique_ptr<Layers> layers_;
};

// Latent [B, latent, N', N', N'] fp32 to occupancy logits [B, out, N, N, N] fp32; a cell is occupied when logit > 0.
// Differentiable; thread-safe.
class SparseStructureDecoder {
 public:
  static std::vector<ParameterSpec> parameter_specs(const SsVaeConfig& config);
  static Result<std::unique_ptr<SparseStructureDecoder>> create(const SsVaeConfig& config, const TensorMap& tensors);
  static TensorMap init_parameters(const SsVaeConfig& config, at::Generator generator);  // fp32
  ~SparseStructureDecoder();

  at::Tensor forward(const at::Tensor& latent) const;

  const SsVaeConfig& config() const;
  const TensorMap& parameters() const;

 private:
  struct Layers;
  explicit SparseStructureDecoder(std::unique_ptr<Layers> layers);
  std::unique_ptr<Layers> layers_;
};

// Occupied cells of logits [B, 1, N, N, N] as int32 [M, 4] (sample, x, y, z), ascending. `resolution` divides N: cells
// are pooled (occupied when any of the finer ones is).
at::Tensor occupied_coords(const at::Tensor& logits, int64_t resolution);

}  // namespace espalier::nn
