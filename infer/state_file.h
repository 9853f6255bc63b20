#pragma once

#include <cstdint>
#include <filesystem>

#include "common/status.h"
#include "infer/decode.h"
#include "infer/networks.h"

// The latents of one generated object in a file: what its grid, surface and texture can be decoded from again.
namespace espalier::infer {

// A safetensors file: coords [T, 3] int32, shape [T, C] and, with a texture, texture [T, Ct] float32; the header names
// the decoders by digest and the voxels per side.
Status write_state(const std::filesystem::path& file, const Latents& latents, int64_t sample, Networks& networks);

// On the networks' device, as a batch of one. The file is checked like a stranger's: what is in it may be anything.
// NOT_FOUND: no such file; DATA_LOSS: damaged; FAILED_PRECONDITION: of other decoders; RESOURCE_EXHAUSTED: more than
// `token_limit` cells.
Result<Latents> read_state(const std::filesystem::path& file, Networks& networks, int64_t token_limit);

}  // namespace espalier::infer
