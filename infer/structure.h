#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/status.h"
#include "infer/samplers/flow_euler.h"
#include "nn/io/base_model.h"
#include "nn/lora/adapter_file.h"
#include "nn/networks/dinov3.h"
#include "nn/networks/ss_flow.h"
#include "nn/networks/ss_vae.h"

namespace espalier::infer {

struct LoadedAdapter {
  nn::LoraAdapter weights;
  double scale = 1;
};

// The first stage: which cells of a coarse grid the object occupies. Holds the networks of that stage.
//
// Reading adapters is thread-safe; the rest runs for one request at a time.
// Reference: TRELLIS.2 trellis2/pipelines/trellis2_image_to_3d.py, get_cond and sample_sparse_structure.
class StructureStage {
 public:
  // Errors of nn/io/load_model.h.
  static Result<std::unique_ptr<StructureStage>> load(const nn::BaseModel& base, c10::Device device, bool bfloat16);

  // Reads and checks an adapter against this stage's denoiser. INVALID_ARGUMENT or NOT_FOUND say what is wrong.
  Result<LoadedAdapter> read_adapter(const std::filesystem::path& file, double scale);

  // planes [3 * side * side] in [0, 1] -> image tokens [1, L, C] float32 on the device.
  at::Tensor condition(const std::vector<float>& planes, int side) const;

  // [samples, C, R, R, R] latents. The noise is torch.randn of a private CPU generator seeded with `seed`, so devices
  // agree. Adapters act for this call only.
  Result<at::Tensor> sample_latents(const at::Tensor& condition, int samples, uint64_t seed,
                                    const std::vector<LoadedAdapter>& adapters, const SamplerParams& params,
                                    const SamplerHooks& hooks);

  // [samples, 1, N, N, N] logits; a cell is occupied above 0.
  at::Tensor decode(const at::Tensor& latents) const;

 private:
  StructureStage(c10::Device device, std::filesystem::path weights) : device_(device), weights_(std::move(weights)) {}
  Result<std::string> weights_digest();

  c10::Device device_;
  std::filesystem::path weights_;  // file of the denoiser
  std::unique_ptr<nn::DinoV3> encoder_;
  std::unique_ptr<nn::SparseStructureFlow> flow_;
  std::unique_ptr<nn::SparseStructureDecoder> decoder_;
  std::mutex mutex_;    // guards digest_
  std::string digest_;  // sha256 of weights_, made when the first adapter asks for it
};

}  // namespace espalier::infer
