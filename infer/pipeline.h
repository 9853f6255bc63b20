#pragma once

#include <cstdint>
#include <span>
#include <string_view>

// The ways from an occupied structure to a shape. Reference: TRELLIS.2 trellis2/pipelines/trellis2_image_to_3d.py, run.
namespace espalier::infer {

// Numbers as for a base of grid_scale 1.
struct Pipeline {
  std::string_view name;  // as in the reference, e.g. "1024_cascade"
  int resolution;         // voxels per side of the result
  int structure;          // cells per side of the structure that the first pass fills
  int first_tier;         // network and condition image of a cascade's first pass; 0: there is one pass only
  int tier;               // of the pass that gives the result

  bool is_cascade() const { return first_tier != 0; }
};

std::span<const Pipeline> pipelines();

// Null when there is none of that name.
const Pipeline* find_pipeline(std::string_view name);
// What a resolution stands for: 512, and the cascades to 1024 and 1536. Null for another number.
const Pipeline* pipeline_for(int resolution);

// A pipeline's grids on a base of some grid_scale.
struct PipelineGrids {
  int64_t structure = 0;   // cells per side of the first pass
  int64_t voxels = 0;      // per side of the result, 16 per latent cell
  int64_t low_voxels = 0;  // per side of a cascade's first pass; the rest is for cascades, too
  int64_t lowest = 0;      // the least that a cascade reduces `voxels` to, ...
  int64_t step = 0;        // ... in these steps
};

PipelineGrids scaled(const Pipeline& pipeline, double grid_scale);

// Whether all of these are whole latent cells.
bool fits(const PipelineGrids& grids, const Pipeline& pipeline, double grid_scale);

}  // namespace espalier::infer
