#pragma once

#include <filesystem>
#include <string>

#include "train/trainer.h"

namespace espalier::train {

// A base model of a few thousand random weights and a prepared dataset of `objects` small objects, written into
// `folder` ("base/", "dataset.zip"). Latents are 8 x 2^3, views 32 x 32. Throws on failure.
void write_tiny_world(const std::filesystem::path& folder, int objects = 3);

// A prepared dataset of random objects for the base in models/nano: folder/dataset.zip. Throws on failure.
void write_nano_dataset(const std::filesystem::path& folder, int objects);

// A short run on that world, writing folder/NAME.safetensors.
TrainConfig tiny_config(const std::filesystem::path& folder, const std::string& name);

}  // namespace espalier::train
