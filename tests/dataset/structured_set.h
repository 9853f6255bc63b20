#pragma once

#include <string>
#include <vector>

#include "dataset/reader.h"
#include "tests/dataset/small_set.h"

namespace espalier::dataset::testing {

inline constexpr int kCells = 8;  // per side: tier 512 at a quarter of the size

// coords [T, 3] and feats [T, channels]: 0, 1, 2, … and `value` as the last.
std::string latent_npz(std::vector<uint8_t> coords, int64_t channels = 2, float value = 0.5f);

// Datasets of objects with structured latents.
class StructuredSet : public SmallSet {
 protected:
  StructuredSet();

  std::string shape_path(const ObjectRecord& object) const { return latent_path("shape_latent", object); }
  std::string texture_path(const ObjectRecord& object) const { return latent_path("pbr_latent", object); }

  ObjectRecord& add_shaped(const std::string& content, const std::string& npz);
  ObjectRecord& add_textured(const std::string& content, const std::string& shape, const std::string& texture);

  Result<PreparedDataset> opened();

 private:
  std::string latent_path(const char* kind, const ObjectRecord& object) const;
};

}  // namespace espalier::dataset::testing
