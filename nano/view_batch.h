#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "nano/corpus.h"
#include "nn/parameters.h"
#include "train/random.h"

// One picture of each sample's object, augmented; and the readings that keep the encoder's patch tokens useful.
namespace espalier::nano {

struct ViewBatch {
  at::Tensor pixels;  // [B, 3, 128, 128] float32 in [0, 1]
  std::vector<bool> mirrored;
};

enum class Colors {
  kShuffled,  // the channels in random order, so that hue does not speak for shape
  kAsSeen,
};

// A view at random, mirrored half of the time (the object is then the mirrored one). Function of (seed, step, slot).
ViewBatch draw_views(const Corpus& corpus, std::span<const train::SampleRef> samples, uint64_t seed,
                     Colors colors = Colors::kShuffled);

// Linear reading of each patch token: the colours of the patch's 4 x 4 blocks and the patch's own place.
nn::TensorMap init_patch_reader(uint64_t seed);
// Mean squared error of that reading. tokens [B, 1 + 4 + 64, C], pixels [B, 3, 128, 128].
at::Tensor patch_reading_loss(const nn::TensorMap& reader, const at::Tensor& tokens, const at::Tensor& pixels);

inline constexpr double kPatchReadingWeight = 0.1;
inline constexpr int64_t kFirstPatchToken = 5;  // behind the class token and four registers

}  // namespace espalier::nano
