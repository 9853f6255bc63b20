#pragma once

#include <filesystem>

#include "common/status.h"
#include "infer/samplers/flow_euler.h"
#include "nn/io/base_model.h"

namespace espalier::nano {

// The sampler settings written into the base's pipeline.json.
infer::SamplerParams default_sampler();
infer::SamplerParams default_shape_sampler();

// What the shape denoisers' training found about their latents, kept in the work folder for write_manifest().
Status write_normalization(const std::filesystem::path& work, const nn::LatentNormalization& normalization);

// The view by which held-out objects are judged; neither the lowest nor the highest camera.
inline constexpr int kHeldView = 5;

}  // namespace espalier::nano
