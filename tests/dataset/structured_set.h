#pragma once

#include <span>
#include <string>
#include <vector>

#include "dataset/layout.h"
#include "dataset/npz.h"
#include "dataset/reader.h"
#include "tests/dataset/small_set.h"

namespace espalier::dataset::testing {

inline constexpr int kCells = 8;  // per side: tier 512 at a quarter of the size

// coords [T, 3] and feats [T, channels]: 0, 1, 2, … and `value` as the last.
inline std::string latent_npz(std::vector<uint8_t> coords, int64_t channels = 2, float value = 0.5f) {
  const auto rows = static_cast<int64_t>(coords.size() / 3);
  std::vector<float> feats(static_cast<size_t>(rows * channels), value);
  for (size_t i = 0; i + 1 < feats.size(); ++i) feats[i] = static_cast<float>(i);
  return *write_npz({{"coords", make_array(std::span<const uint8_t>(coords), {rows, 3})},
                     {"feats", make_array(std::span<const float>(feats), {rows, channels})}});
}

// Datasets of objects with structured latents.
class StructuredSet : public SmallSet {
 protected:
  StructuredSet() {
    manifest_.grid_scale = 0.25;
    manifest_.folders["shape_latent"] = shape_latent_folder("shape_enc", 512);
    manifest_.folders["pbr_latent"] = pbr_latent_folder("tex_enc", 512);
    manifest_.stages["geometry"] = {true, 2, "", TokenSummary{2, 2, 4}, 8192};
  }

  std::string shape_path(const ObjectRecord& object) const { return latent_path("shape_latent", object); }
  std::string texture_path(const ObjectRecord& object) const { return latent_path("pbr_latent", object); }

  ObjectRecord& add_shaped(const std::string& content, const std::string& npz) {
    ObjectRecord& object = add_object(content);
    object.stages["geometry"] = "ok";
    object.tokens["shape"] = 2;
    add_file(object, shape_path(object), npz);
    return object;
  }

  ObjectRecord& add_textured(const std::string& content, const std::string& shape, const std::string& texture) {
    ObjectRecord& object = add_shaped(content, shape);
    object.stages["texture"] = "ok";
    object.tokens["pbr"] = 2;
    add_file(object, texture_path(object), texture);
    return object;
  }

  Result<PreparedDataset> opened() {
    EXPECT_TRUE(write().ok());
    return PreparedDataset::open(path("set.zip"));
  }

 private:
  std::string latent_path(const char* kind, const ObjectRecord& object) const {
    return manifest_.folders.at(kind) + "/" + object.sha256 + ".npz";
  }
};

}  // namespace espalier::dataset::testing
