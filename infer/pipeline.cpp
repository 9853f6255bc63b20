#include "infer/pipeline.h"

#include <algorithm>
#include <cmath>

namespace espalier::infer {
namespace {

constexpr Pipeline kPipelines[] = {
    {"512", 512, 32, 0, 512},
    {"1024", 1024, 64, 0, 1024},
    {"1024_cascade", 1024, 32, 512, 1024},
    {"1536_cascade", 1536, 32, 512, 1024},
};
constexpr int kLowestOfCascade = 1024, kCascadeStep = 128;
constexpr int64_t kVoxelsPerLatent = 16;

}  // namespace

std::span<const Pipeline> pipelines() { return kPipelines; }

const Pipeline* find_pipeline(std::string_view name) {
  const auto* found =
      std::find_if(std::begin(kPipelines), std::end(kPipelines), [&](const Pipeline& p) { return p.name == name; });
  return found == std::end(kPipelines) ? nullptr : found;
}

const Pipeline* pipeline_for(int resolution) {
  const auto* found = std::find_if(std::begin(kPipelines), std::end(kPipelines), [&](const Pipeline& p) {
    return p.resolution == resolution && (p.is_cascade() || resolution == 512);
  });
  return found == std::end(kPipelines) ? nullptr : found;
}

PipelineGrids scaled(const Pipeline& pipeline, double grid_scale) {
  const auto times = [&](int value) { return std::llround(value * grid_scale); };
  return {times(pipeline.structure), times(pipeline.resolution), times(pipeline.first_tier), times(kLowestOfCascade),
          times(kCascadeStep)};
}

bool fits(const PipelineGrids& grids, const Pipeline& pipeline, double grid_scale) {
  const auto whole = [&](int value) {
    const double cells = value * grid_scale / kVoxelsPerLatent;
    return cells >= 1 && cells == std::floor(cells);
  };
  if (grids.structure < 1 || !whole(pipeline.resolution)) return false;
  return !pipeline.is_cascade() || (whole(pipeline.first_tier) && whole(kCascadeStep));
}

}  // namespace espalier::infer
