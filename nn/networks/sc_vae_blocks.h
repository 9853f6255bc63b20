#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "nn/layers/linear.h"
#include "nn/networks/sc_vae_config.h"
#include "nn/parameters.h"
#include "nn/sparse/sparse_tensor.h"

// The blocks of the sparse-compression VAEs. Without a graph, wide intermediate rows exist for a part of the rows at a
// time only. Reference: TRELLIS.2 trellis2/models/sc_vaes/sparse_unet_vae.py.
namespace espalier::nn {

// One block of a network, in the order it runs.
struct ScVaeStage {
  enum class Kind { kConvNext, kDown, kUp };
  Kind kind;
  std::string prefix;  // of its parameters: "blocks.L.J."
  int64_t in, out;
  Resampling resampling = Resampling::kChannels;  // kDown and kUp
  bool predicts = false;                          // kUp: has to_subdiv
};

// fp32 norms, everything else of `dtype`.
std::vector<ParameterSpec> stage_specs(const ScVaeStage& stage, at::ScalarType dtype);

class ScVaeBlock {
 public:
  virtual ~ScVaeBlock() = default;

  // `subdivision` of an up-block, [N, 8]: a child exists where it is above 0. Undefined on entry: the block predicts
  // it, as logits, and leaves it there. Other blocks ignore it.
  virtual SparseTensor forward(const SparseTensor& x, at::Tensor& subdivision) const = 0;
};

std::unique_ptr<ScVaeBlock> make_block(const ScVaeStage& stage, const TensorMap& parameters);

}  // namespace espalier::nn
