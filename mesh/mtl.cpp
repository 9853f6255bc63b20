#include "mesh/mtl.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "absl/strings/str_cat.h"
#include "mesh/text_lines.h"

namespace espalier::mesh::internal {
namespace {

// The raw values of one `newmtl` block.
struct Block {
  Material material;
  std::optional<double> shininess, roughness, metallic, opacity;
  std::optional<Vec3> ambient;
  int64_t illumination = 1;
  std::string map_color, map_alpha, map_roughness, map_metallic, map_emissive;
  bool clamp = false;
};

// The next word, where it is a number in the range of single precision; otherwise `out` stays.
void read_number(std::string_view& rest, std::optional<double>& out) {
  std::string_view word = next_word(rest);
  double value = 0;
  if (parse_number(word, value) && word.empty() && std::abs(value) <= std::numeric_limits<float>::max()) out = value;
}

bool read_color(std::string_view rest, Vec3& color) {
  std::optional<double> value;
  read_number(rest, value);  // `spectral` and `xyz` forms are not used by any tool
  if (!value) return false;
  color.fill(static_cast<float>(*value));
  for (size_t a = 1; a < 3; ++a) {
    read_number(rest, value);
    color[a] = static_cast<float>(*value);
  }
  return true;
}

bool is_number(std::string_view word) {
  double value = 0;
  return parse_number(word, value) && word.empty();
}

// The file of a `map_*` line: what is left after its options (-o, -s, -t take up to three numbers, others one word).
std::string map_file(std::string_view rest, Block& block) {
  rest = trim(rest);
  while (rest.starts_with('-')) {
    std::string_view after = rest;
    const std::string_view option = next_word(after);
    std::string_view probe = after;
    if (option == "-o" || option == "-s" || option == "-t" || option == "-mm") {
      std::string_view peek = probe;
      for (int k = 0; k < 3 && is_number(next_word(peek)); ++k) probe = peek;
    } else {
      const std::string_view value = next_word(probe);
      if (option == "-clamp") block.clamp = value == "on";
    }
    if (trim(probe).empty()) break;  // the option was a file name after all
    rest = trim(probe);
  }
  return std::string(unquoted(rest));
}

void statement(std::string_view word, std::string_view rest, Block& block) {
  if (word == "Kd") {
    read_color(rest, block.material.base_color);
  } else if (word == "Ke") {
    read_color(rest, block.material.emissive);
  } else if (word == "Ka") {
    Vec3 color{};
    if (read_color(rest, color)) block.ambient = color;
  } else if (word == "Ns") {
    read_number(rest, block.shininess);
  } else if (word == "d") {
    read_number(rest, block.opacity);
  } else if (word == "Pr") {
    read_number(rest, block.roughness);
  } else if (word == "Pm") {
    read_number(rest, block.metallic);
  } else if (word == "illum") {
    parse_integer(rest, block.illumination);
  } else if (word == "map_Kd") {
    block.map_color = map_file(rest, block);
  } else if (word == "map_d") {
    block.map_alpha = map_file(rest, block);
  } else if (word == "map_Pr") {
    block.map_roughness = map_file(rest, block);
  } else if (word == "map_Pm") {
    block.map_metallic = map_file(rest, block);
  } else if (word == "map_Ke") {
    block.map_emissive = map_file(rest, block);
  }
}

float unit(double value) { return static_cast<float>(std::clamp(value, 0.0, 1.0)); }

void convert_factors(const Block& block, Material& material) {
  const bool highlight = block.illumination >= 2;
  const double shininess = block.shininess ? std::clamp(*block.shininess, 0.0, 1000.0) : (highlight ? 1000.0 : 0.0);
  material.roughness = unit(block.roughness.value_or(1 - std::sqrt(shininess / 1000)));
  double metallic = 0;
  if (block.illumination >= 3) {
    metallic = block.ambient ? ((*block.ambient)[0] + (*block.ambient)[1] + (*block.ambient)[2]) / 3.0 : 1.0;
  }
  material.metallic = unit(block.metallic.value_or(metallic));
  material.alpha = unit(block.opacity.value_or(1));
  if (material.alpha < 1) material.alpha_mode = AlphaMode::kBlend;
}

class Textures {
 public:
  Textures(const Companions& companions, const ImportLimits& limits, TextureStore& store, const Scene& scene)
      : companions_(companions), limits_(limits), store_(store), scene_(scene) {}

  Result<std::optional<Texture>> load(const std::string& file, const Block& block) {
    if (file.empty()) return std::optional<Texture>();
    Result<std::string> bytes = std::string();
    if (!store_.known(file)) bytes = companions_.read_by_name(file, limits_.max_image_bytes);
    Texture texture;
    texture.image = store_.add(file, bytes);
    if (texture.image < 0) return std::optional<Texture>();
    texture.wrap_u = texture.wrap_v = block.clamp ? Wrap::kClamp : Wrap::kRepeat;
    return std::optional<Texture>(texture);
  }

  int channels(const Texture& texture) const { return scene_.images[texture.image].channels; }

 private:
  const Companions& companions_;
  const ImportLimits& limits_;
  TextureStore& store_;
  const Scene& scene_;
};

Result<Material> convert(const Block& block, Textures& textures) {
  Material material = block.material;
  convert_factors(block, material);
  ESP_ASSIGN(material.base_color_texture, textures.load(block.map_color, block));
  ESP_ASSIGN(material.alpha_texture, textures.load(block.map_alpha, block));
  ESP_ASSIGN(material.roughness_texture, textures.load(block.map_roughness, block));
  ESP_ASSIGN(material.metallic_texture, textures.load(block.map_metallic, block));
  ESP_ASSIGN(material.emissive_texture, textures.load(block.map_emissive, block));
  // A texture replaces its factor.
  if (material.base_color_texture) material.base_color = {1, 1, 1};
  if (material.roughness_texture) material.roughness = 1;
  if (material.metallic_texture) material.metallic = 1;
  if (material.alpha_texture) {
    material.alpha = 1;
    material.alpha_mode = AlphaMode::kBlend;
    material.alpha_texture->channel = textures.channels(*material.alpha_texture) == 4 ? 3 : 0;
  }
  return material;
}

}  // namespace

Status read_mtl(std::string_view text, const Companions& companions, const ImportLimits& limits, TextureStore& textures,
                Scene& scene, std::unordered_map<std::string, int32_t>& ids) {
  std::vector<Block> blocks;
  TextLines lines(text);
  std::string_view line;
  while (lines.next(line)) {
    const std::string_view word = next_word(line);
    if (word == "newmtl") {
      if (scene.materials.size() + blocks.size() >= limits.max_materials) {
        return import_error(ImportError::kUnreadable, absl::StrCat("more than ", limits.max_materials, " materials"));
      }
      blocks.emplace_back();
      blocks.back().material.name = std::string(trim(line));
    } else if (!blocks.empty()) {
      statement(word, line, blocks.back());
    }
  }
  Textures loader(companions, limits, textures, scene);
  for (const Block& block : blocks) {
    ESP_ASSIGN(Material material, convert(block, loader));
    ids[material.name] = static_cast<int32_t>(scene.materials.size());
    scene.materials.push_back(std::move(material));
  }
  return absl::OkStatus();
}

}  // namespace espalier::mesh::internal
