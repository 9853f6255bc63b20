#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "common/status.h"

namespace espalier::nn {

// How a level of the sparse VAEs becomes the next one.
enum class Resampling {
  kChannels,  // the eight children of a cell become channels and back: SparseResBlockS2C3d, SparseResBlockC2S3d
  kPooling,   // mean of the children, copies of the parent: SparseResBlockDownsample3d, SparseResBlockUpsample3d
};

// Constructor arguments of the sparse-compression VAE's two halves, for shape and texture alike.
struct ScVaeConfig {
  int64_t io_channels = 0;  // of the encoder's input, or of the decoder's output
  int64_t latent_channels = 0;
  std::vector<int64_t> model_channels;  // one per level, in the order the network runs them
  std::vector<int64_t> num_blocks;      // likewise: convolution blocks ahead of the level's resampling block
  std::vector<Resampling> resampling;   // one fewer
  at::ScalarType dtype = at::kFloat;    // of the blocks: float16 with use_fp16. Set to float32 to run wider
  bool predicts_subdivision = true;     // decoder: it decides itself which children exist, or is guided
  double voxel_margin = 0.5;            // shape decoder: dual vertices reach this far out of their voxel, in voxels

  int64_t levels() const { return static_cast<int64_t>(model_channels.size()); }

  // From the `args` object of a model file of the classes SparseUnetVaeEncoder, SparseUnetVaeDecoder,
  // FlexiDualGridVaeEncoder and FlexiDualGridVaeDecoder. The latter two leave in_channels (6) and out_channels (7) out.
  // Ignores arguments that do not change the result (use_checkpoint, resolution).
  // INVALID_ARGUMENT names the field and what it allows, or an argument that is not known.
  static Result<ScVaeConfig> parse(const nlohmann::json& args);
};

}  // namespace espalier::nn
