#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/status.h"
#include "dataset/reader.h"
#include "evaluate/cell_agreement.h"
#include "evaluate/color_agreement.h"
#include "infer/engine.h"

// What of a dataset candidates are judged by.
namespace espalier::evaluate {

struct Item {
  std::string name;
  std::string png;                      // the picture that is generated from
  std::vector<Cell> cells;              // occupied, `structure_resolution` per side
  int structure_resolution = 0;         // as the dataset stores them
  std::optional<ColoredSurface> truth;  // what the stored latents decode to; colors empty without a texture
};

struct Items {
  int resolution = 0;             // tier: 512 or 1024
  bool held_out_objects = false;  // of split "val"
  std::vector<Item> items;
};

// At most `max_objects`, the first in the dataset; 0: all. INVALID_ARGUMENT: no object with the view and stored
// occupancy.
Result<Items> load_items(const dataset::PreparedDataset& data, int view, int max_objects, infer::Engine& engine);

// The cells of a grid with `to` per side that hold any of `cells`, `from` per side and a multiple of `to`.
std::vector<Cell> pooled(const std::vector<Cell>& cells, int from, int to);

}  // namespace espalier::evaluate
