#include "tests/dataset/structured_set.h"

#include <span>

#include "dataset/layout.h"
#include "dataset/npz.h"

namespace espalier::dataset::testing {

std::string latent_npz(std::vector<uint8_t> coords, int64_t channels, float value) {
  const auto rows = static_cast<int64_t>(coords.size() / 3);
  std::vector<float> feats(static_cast<size_t>(rows * channels), value);
  for (size_t i = 0; i + 1 < feats.size(); ++i) feats[i] = static_cast<float>(i);
  return *write_npz({{"coords", make_array(std::span<const uint8_t>(coords), {rows, 3})},
                     {"feats", make_array(std::span<const float>(feats), {rows, channels})}});
}

StructuredSet::StructuredSet() {
  manifest_.grid_scale = 0.25;
  manifest_.folders["shape_latent"] = shape_latent_folder("shape_enc", 512);
  manifest_.folders["pbr_latent"] = pbr_latent_folder("tex_enc", 512);
  manifest_.stages["geometry"] = {true, 2, "", TokenSummary{2, 2, 4}, 8192};
}

ObjectRecord& StructuredSet::add_shaped(const std::string& content, const std::string& npz) {
  ObjectRecord& object = add_object(content);
  object.stages["geometry"] = "ok";
  object.tokens["shape"] = 2;
  add_file(object, shape_path(object), npz);
  return object;
}

ObjectRecord& StructuredSet::add_textured(const std::string& content, const std::string& shape,
                                          const std::string& texture) {
  ObjectRecord& object = add_shaped(content, shape);
  object.stages["texture"] = "ok";
  object.tokens["pbr"] = 2;
  add_file(object, texture_path(object), texture);
  return object;
}

Result<PreparedDataset> StructuredSet::opened() {
  EXPECT_TRUE(write().ok());
  return PreparedDataset::open(path("set.zip"));
}

std::string StructuredSet::latent_path(const char* kind, const ObjectRecord& object) const {
  return manifest_.folders.at(kind) + "/" + object.sha256 + ".npz";
}

}  // namespace espalier::dataset::testing
