#pragma once

#include <optional>
#include <vector>

#include "common/status.h"
#include "infer/networks.h"
#include "infer/shape.h"
#include "infer/stage.h"

namespace espalier::infer {

// What the samplers give: all that decoding needs.
struct Latents {
  ShapeLatent shape;
  std::optional<nn::SparseTensor> texture;  // on the shape's rows, in the texture decoder's space; none: no texture
};

// The decoded grid of every sample, with materials where there is a texture; stage "decode". One decoder is in use at a
// time. Errors of decode_shape() and decode_texture(); CANCELLED: stopped.
Result<std::vector<DecodedShape>> decode(const Latents& latents, const Networks& networks, const StageHooks& hooks);

}  // namespace espalier::infer
