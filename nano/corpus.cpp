#include "nano/corpus.h"

#include <ATen/ATen.h>

#include <atomic>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/log.h"
#include "common/sha256.h"
#include "image/condition_image.h"
#include "nano/architecture.h"
#include "nano/objects.h"
#include "nano/parallel.h"
#include "nano/recipe.h"
#include "nano/tiers.h"
#include "nn/io/safetensors.h"
#include "render/condition_views.h"

namespace espalier::nano {
namespace {

// Objects fill about two thirds of a view, so this is a little more than the condition image needs after cropping.
int render_size(const CorpusConfig& config) { return config.image_size * 3 / 2; }

constexpr int kSamples = 4;

// What a file holds, so that one made with other settings is noticed.
std::string content_key(const CorpusConfig& config, uint32_t index) {
  return absl::StrCat("seed ", config.seed, " object ", index, " views ", config.views, " size ", render_size(config),
                      " samples ", kSamples);
}

std::filesystem::path object_file(const CorpusConfig& config, uint32_t index) {
  return config.folder / absl::StrFormat("%05d.safetensors", index);
}

Result<nn::TensorMap> cached_object(const CorpusConfig& config, uint32_t index) {
  ESP_ASSIGN(const auto file, nn::SafetensorsFile::open(object_file(config, index)));
  const auto found = file.metadata().find("content");
  if (found == file.metadata().end() || found->second != content_key(config, index)) {
    return absl::NotFoundError("made with other settings");
  }
  return file.tensors();
}

// [V, 3, W, W] uint8.
Result<at::Tensor> condition_images(const mesh::Scene& scene, const CorpusConfig& config, uint32_t index) {
  render::ConditionViewOptions options;
  options.views = config.views;
  options.size = render_size(config);
  options.samples = kSamples;
  options.seed = config.seed;
  options.sha256 = sha256_hex(absl::StrCat("object ", index));  // there is no file whose hash could be taken
  options.threads = 1;                                          // objects run side by side already
  ESP_ASSIGN(const auto views, render::render_condition_views(scene, options));
  std::vector<at::Tensor> pictures;
  for (const render::ConditionView& view : views) {
    ESP_ASSIGN(std::vector<float> planes, image::training_condition_image(view.rgba, config.image_size));
    pictures.push_back(at::from_blob(planes.data(), {3, config.image_size, config.image_size})
                           .mul(255)
                           .round()
                           .clamp(0, 255)
                           .to(at::kByte));
  }
  return at::stack(pictures);
}

Status make_object_file(const CorpusConfig& config, uint32_t index) {
  const Object object = make_object(config.seed, index);
  ESP_ASSIGN(const at::Tensor occupancy, scene_occupancy(object.scene));
  const at::Tensor mirrored = occupancy.flip({mirrors_in_y(object.scene) ? 1 : 0}).contiguous();
  ESP_ASSIGN(const at::Tensor images, condition_images(object.scene, config, index));
  return nn::write_safetensors(object_file(config, index),
                               {{"occupancy", occupancy}, {"mirrored", mirrored}, {"images", images}},
                               {{"content", content_key(config, index)}, {"family", object.family}});
}

}  // namespace

Result<Corpus> load_or_make_corpus(const CorpusConfig& config) {
  std::error_code error;
  std::filesystem::create_directories(config.folder, error);
  if (error) return absl::UnavailableError(absl::StrCat("cannot make ", config.folder.string()));
  std::atomic<uint32_t> made{0};
  const auto make = [&](uint32_t index) -> Status {
    if (cached_object(config, index).ok()) return absl::OkStatus();
    ESP_TRY(make_object_file(config, index));
    if (++made % 50 == 0) log_info("rendered", {{"objects", made.load()}, {"folder", config.folder.string()}});
    return absl::OkStatus();
  };
  ESP_TRY(for_each_index(config.objects, config.threads, make));
  Corpus corpus;
  std::vector<at::Tensor> occupancy, mirrored, images;
  for (uint32_t index = 0; index < config.objects; ++index) {
    ESP_ASSIGN(const nn::TensorMap object, cached_object(config, index));
    corpus.families.push_back(make_object(config.seed, index).family);
    occupancy.push_back(object.at("occupancy"));
    mirrored.push_back(object.at("mirrored"));
    images.push_back(object.at("images"));
  }
  corpus.occupancy = at::stack(occupancy);
  corpus.mirrored = at::stack(mirrored);
  corpus.images = at::stack(images);
  return corpus;
}

Status make_corpus(const Recipe& recipe) {
  for (const Tier& tier : kTiers) {
    ESP_TRY(load_or_make_corpus(tier_corpus(recipe, tier)).status());
    ESP_TRY(load_or_make_corpus(held_tier_corpus(recipe, tier)).status());
  }
  return load_or_make_shapes(recipe.seed + 2, recipe.shapes, recipe.threads, recipe.work / "shapes.safetensors")
      .status();
}

}  // namespace espalier::nano
