#pragma once

#include <filesystem>
#include <string>

#include "train/trainer.h"

namespace espalier::train {

struct TinyWorld {
  int objects = 3;
  int resolution = 512;
  int too_large = 0;  // of the objects, left out of geometry and texture for their number of tokens
  int bare = 0;       // of the objects, left out of texture for want of a material
};

// A base model of a few thousand random weights and a prepared dataset of small objects, written into `folder`
// ("base/", "dataset.zip"). Sparse-structure latents are 8 x 2^3; shape latents have 6 and texture latents 5 channels
// on up to 2^3 cells, or 4^3 at resolution 1024; views are 32 x 32. Throws on failure.
void write_tiny_world(const std::filesystem::path& folder, const TinyWorld& world = {});

// A prepared dataset of random objects for the base in models/nano: folder/dataset.zip. Throws on failure.
void write_nano_dataset(const std::filesystem::path& folder, int objects);

// A short run on that world, writing folder/NAME.safetensors.
TrainConfig tiny_config(const std::filesystem::path& folder, const std::string& name);

}  // namespace espalier::train
