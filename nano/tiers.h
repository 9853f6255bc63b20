#pragma once

#include <array>
#include <cstdint>

#include "nano/architecture.h"
#include "nano/corpus.h"
#include "nano/recipe.h"

// The two resolutions at which shapes and textures are generated.
namespace espalier::nano {

struct Tier {
  int number;      // as the reference calls it
  int voxels;      // per side
  int image_size;  // pixels per side of the condition images
  int64_t batch;   // objects of an update
  double learning_rate;
  const char* pipeline;            // of infer/pipeline.h, that ends on this tier
  int structure_side;              // cells per side that it starts from
  const char* own_cells_pipeline;  // that starts from cells of the tier's own latent
};

inline constexpr std::array<Tier, 2> kTiers{{
    {512, kLowVoxelResolution, kImageSize, 16, 2e-3, "512", 8, "512"},
    {1024, kVoxelResolution, 2 * kImageSize, 4, 1e-3, "1024_cascade", 8, "1024"},
}};

// Objects and views that the tier's denoisers learn from, and those they are judged by. The lower tier takes those of
// the sparse structure; the higher one larger pictures, which cost four times as much, of the first few objects.
CorpusConfig tier_corpus(const Recipe& recipe, const Tier& tier);
CorpusConfig held_tier_corpus(const Recipe& recipe, const Tier& tier);

// The view by which a corpus' objects are judged; neither the lowest nor the highest camera.
int64_t held_view(const Corpus& corpus);

}  // namespace espalier::nano
