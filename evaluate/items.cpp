#include "evaluate/items.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "evaluate/decoded_object.h"

namespace espalier::evaluate {
namespace {

std::vector<Cell> cells_of(const std::vector<uint8_t>& coords) {
  std::vector<Cell> cells;
  for (size_t i = 0; i + 2 < coords.size(); i += 3) cells.push_back({coords[i], coords[i + 1], coords[i + 2]});
  return cells;
}

Result<infer::StoredLatents> stored_latents(const dataset::Object& object, bool with_texture) {
  ESP_ASSIGN(dataset::StructuredLatent shape, object.shape_latent());
  infer::StoredLatents latents;
  latents.cells = cells_of(shape.coords);
  latents.shape = std::move(shape.feats);
  latents.cells_per_side = object.shape_grid;
  if (with_texture && object.texture_tokens > 0) {
    ESP_ASSIGN(dataset::StructuredLatent texture, object.texture_latent());
    latents.texture = std::move(texture.feats);
  }
  return latents;
}

Result<ColoredSurface> decoded(const dataset::Object& object, infer::Engine& engine) {
  ESP_ASSIGN(const infer::StoredLatents latents, stored_latents(object, engine.has_texture()));
  infer::OutputOptions options;
  options.formats = {infer::FileFormat::kNpz};
  options.remesh = false;  // what is judged is the decoded grid
  ESP_ASSIGN(const infer::GeneratedAssets assets, engine.decode(latents, options));
  return decoded_object(assets.samples.at(0).file(infer::FileFormat::kNpz));
}

Result<Item> item_of(const dataset::Object& object, const std::vector<uint8_t>& occupancy, int view,
                     infer::Engine& engine) {
  Item item;
  item.name = object.name.empty() ? object.sha256.substr(0, 12) : object.name;
  ESP_ASSIGN(item.png, object.view_png(static_cast<size_t>(view)));
  item.cells = cells_of(occupancy);
  item.structure_resolution = object.ss_resolution;
  if (object.shape_tokens > 0 && engine.has_shape()) {
    ESP_ASSIGN(item.truth, decoded(object, engine));
  }
  return item;
}

}  // namespace

Result<Items> load_items(const dataset::PreparedDataset& data, int view, int max_objects, infer::Engine& engine) {
  const auto is_val = [](const dataset::Object& object) { return object.split == "val"; };
  Items result;
  result.resolution = data.manifest().resolution;
  result.held_out_objects = std::any_of(data.objects().begin(), data.objects().end(), is_val);
  for (const dataset::Object& object : data.objects()) {
    if (max_objects > 0 && result.items.size() == static_cast<size_t>(max_objects)) break;
    if (result.held_out_objects && !is_val(object)) continue;
    if (object.views() <= static_cast<size_t>(view)) continue;
    ESP_ASSIGN(const auto occupancy, object.occupancy());
    if (!occupancy) continue;
    ESP_ASSIGN(result.items.emplace_back(), item_of(object, *occupancy, view, engine));
  }
  if (result.items.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("dataset: no object", result.held_out_objects ? " of split \"val\"" : "", " has a view ", view,
                     " and stored occupancy; prepare it anew or choose another view"));
  }
  return result;
}

std::vector<Cell> pooled(const std::vector<Cell>& cells, int from, int to) {
  const int factor = std::max(1, from / to);
  std::vector<Cell> result;
  for (const Cell& cell : cells) result.push_back({cell[0] / factor, cell[1] / factor, cell[2] / factor});
  std::sort(result.begin(), result.end());
  result.erase(std::unique(result.begin(), result.end()), result.end());
  return result;
}

}  // namespace espalier::evaluate
