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

// Which children an up-block makes, [N, 8]: those above 0 of the guide, or without one, of the block's own prediction.
struct Subdivision {
  at::Tensor guide;   // undefined: none
  at::Tensor logits;  // left by a block that predicts, guided or not
};

class ScVaeBlock {
 public:
  virtual ~ScVaeBlock() = default;

  // Blocks other than up-blocks ignore `subdivision`.
  virtual SparseTensor forward(const SparseTensor& x, Subdivision& subdivision) const = 0;
};

std::unique_ptr<ScVaeBlock> make_block(const ScVaeStage& stage, const TensorMap& parameters);

}  // namespace espalier::nn
