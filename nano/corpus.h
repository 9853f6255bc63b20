#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "common/status.h"
#include "mesh/scene.h"
#include "nano/architecture.h"

// What the nano base learns from, made by the product's own voxelisation and renderer and kept on disk, because
// rendering takes longer than one training run.
namespace espalier::nano {

struct CorpusConfig {
  uint64_t seed = 0;
  uint32_t objects = 0;
  int views = 0;  // per object, 1..64
  int threads = 2;
  std::filesystem::path folder;  // one file per object; made when missing
  int image_size = kImageSize;   // pixels per side of the condition images
};

struct Corpus {
  std::vector<std::string> families;  // [N]
  at::Tensor occupancy;               // [N, 16, 16, 16] uint8, 0 or 1
  at::Tensor mirrored;                // the same of the mirrored objects, in their canonical pose
  at::Tensor images;                  // [N, V, 3, W, W] uint8, condition images over black
};

// Renders what is not in the folder yet, then loads everything. The content depends on the seed, the number of views
// and nothing else; a file made with other settings is made anew.
Result<Corpus> load_or_make_corpus(const CorpusConfig& config);

// [M, 16, 16, 16] uint8 for training the VAE, which must know neither families nor poses, since an adapter can only
// produce what the decoder can express: a quarter objects as they are, half turned at random in space, and a quarter
// surfaces of random smooth fields. Kept in `file`.
Result<at::Tensor> load_or_make_shapes(uint64_t seed, uint32_t count, int threads, const std::filesystem::path& file);

// [count, 16, 16, 16] uint8 of the first objects of a seed.
Result<at::Tensor> object_occupancies(uint64_t seed, uint32_t count, int threads);

// [16, 16, 16] uint8 of a normalised scene: the cells that the active voxels of the highest tier touch.
Result<at::Tensor> scene_occupancy(const mesh::Scene& scene);

}  // namespace espalier::nano
