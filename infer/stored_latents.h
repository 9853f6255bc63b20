#pragma once

#include "common/status.h"
#include "infer/decode.h"
#include "infer/engine.h"
#include "infer/networks.h"

namespace espalier::infer {

// On the networks' device, as a batch of one. INVALID_ARGUMENT: lengths that do not fit the decoders, a cell outside
// the grid or listed twice, numbers that are not finite, a texture where the base has none.
Result<Latents> latents_of(const StoredLatents& stored, const Networks& networks);

}  // namespace espalier::infer
