#pragma once

#include <c10/core/Device.h>

#include <memory>
#include <string>

#include "common/status.h"
#include "dataset/prepared_dataset.h"
#include "nn/io/base_model.h"
#include "nn/networks/dinov3.h"
#include "train/denoiser.h"
#include "train/stage.h"
#include "train/trainer.h"
#include "train/training_data.h"

namespace espalier::train {

// What a run takes from the base model.
struct Networks {
  std::unique_ptr<Denoiser> denoiser;
  std::unique_ptr<nn::DinoV3> encoder;   // of the condition pictures
  std::string model_name, model_sha256;  // of the denoiser's checkpoint
};

// NOT_FOUND: the base has no such network, or lacks a file. Otherwise as nn/io/load_model.h.
Result<Networks> load_networks(const nn::BaseModel& base, const Stage& stage, const TrainConfig& config,
                               c10::Device device);

// The latents that denoiser takes at that resolution.
LatentForm latent_form(const nn::BaseModel& base, const Stage& stage, int resolution, const nn::FlowConfig& denoiser);

// INVALID_ARGUMENT: latents of the dataset were made by another encoder than the base's. Where either does not say
// which it is, there is nothing to check.
Status check_encoders(const dataset::Manifest& manifest, const nn::BaseModel& base, const Stage& stage);

}  // namespace espalier::train
