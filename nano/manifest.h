#pragma once

#include <filesystem>

#include "common/status.h"
#include "infer/samplers/flow_euler.h"
#include "nano/latent_kinds.h"
#include "nn/io/base_model.h"

namespace espalier::nano {

// The sampler settings written into the base's pipeline.json.
infer::SamplerParams default_sampler();
infer::SamplerParams default_latent_sampler();  // of shape and texture

// What the denoisers' training found about the latents of a kind, kept in the work folder for write_manifest().
Status write_normalization(const std::filesystem::path& work, const LatentKind& kind,
                           const nn::LatentNormalization& normalization);
// NOT_FOUND: no denoiser of this kind was trained; DATA_LOSS: not what write_normalization() writes.
Result<nn::LatentNormalization> read_normalization(const std::filesystem::path& work, const LatentKind& kind);

// The view by which held-out objects are judged; neither the lowest nor the highest camera.
inline constexpr int kHeldView = 5;

}  // namespace espalier::nano
