#pragma once

#include <filesystem>
#include <vector>

#include "common/status.h"
#include "infer/decode.h"
#include "infer/engine.h"
#include "infer/networks.h"
#include "infer/stage.h"

namespace espalier::infer {

// Faults of the options of an extraction from these latents.
void check_extraction(const Latents& latents, const OutputOptions& options, std::vector<Fault>& faults);

// Decodes kept latents and makes the files of them. One at a time on the same networks. Errors as Engine::extract;
// c10::Error and std::bad_alloc pass.
Result<GeneratedAssets> extract_files(const Latents& latents, const OutputOptions& options, const Networks& networks,
                                      const StageHooks& hooks);

// A warning where an object keeps more triangles than asked for.
void warn_of_triangles(const OutputOptions& options, size_t sample, GeneratedAssets& assets);

}  // namespace espalier::infer
