#include "nano/tiers.h"

#include <ATen/core/Tensor.h>

#include <algorithm>

#include "nano/manifest.h"
#include "nano/training_run.h"

namespace espalier::nano {
namespace {

constexpr int kHighViews = 4;
constexpr uint32_t kHighHeld = 24;

bool is_high(const Tier& tier) { return tier.voxels == kVoxelResolution; }

CorpusConfig of_tier(CorpusConfig config, const Tier& tier, uint32_t most_objects) {
  if (!is_high(tier)) return config;
  config.objects = std::min(config.objects, most_objects);
  config.views = kHighViews;
  config.image_size = tier.image_size;
  config.folder += "-high";
  return config;
}

}  // namespace

CorpusConfig tier_corpus(const Recipe& recipe, const Tier& tier) {
  return of_tier(train_corpus(recipe), tier, recipe.high_objects);
}

CorpusConfig held_tier_corpus(const Recipe& recipe, const Tier& tier) {
  return of_tier(held_corpus(recipe), tier, kHighHeld);
}

int64_t held_view(const Corpus& corpus) { return std::min<int64_t>(kHeldView, corpus.images.size(1) / 2); }

}  // namespace espalier::nano
