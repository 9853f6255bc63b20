#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/status.h"
#include "dataset/reader.h"
#include "nn/io/base_model.h"
#include "train/flow_loss.h"
#include "train/stage.h"
#include "train/trainer.h"

namespace espalier::train {

// The latents a network takes.
struct LatentForm {
  LatentKind kind = LatentKind::kStructure;
  int64_t channels = 0;                     // C
  int64_t grid = 0;                         // r, cells per side
  nn::LatentNormalization normalization{};  // of structured latents: C values each
  // Of the shape latents that a texture is learned beside.
  int64_t shape_channels = 0;  // K
  nn::LatentNormalization shape_normalization{};
};

// The part of a prepared dataset a run uses: latents in memory (a structured one takes 4 (C + K) + 12 bytes per
// token), pictures read when wanted. Items 0..size()-1 are the training objects; the validation objects follow them.
class TrainingData {
 public:
  // Objects that are not usable for the denoiser are left out, with one warning that says how many and why.
  // INVALID_ARGUMENT: another resolution than the request's, latents that do not fit the network, no object to train
  // on, or no view left beside the held-out ones.
  static Result<TrainingData> open(const TrainConfig& config, const LatentForm& form);

  const dataset::PreparedDataset& dataset() const { return dataset_; }
  const std::vector<std::string>& warnings() const { return warnings_; }  // the dataset's and this one's
  int64_t size() const { return static_cast<int64_t>(repeats_.size()); }
  const std::vector<int>& repeats() const { return repeats_; }  // of the training objects
  int64_t tokens(int64_t item) const;                           // >= 1: r^3, or the occupied cells
  std::vector<int64_t> training_tokens() const;                 // of the training objects

  // The latents of the samples' items, on the CPU; structured ones normalised.
  FlowSamples samples(std::span<const SampleRef> samples) const;
  const std::vector<int64_t>& training_views(int64_t item) const { return items_[static_cast<size_t>(item)].views; }

  // The condition picture of a view, [1, 3, size, size] float32 in [0, 1]. Throws StatusError: the PNG is not usable.
  at::Tensor picture(int64_t item, int64_t view, int size) const;

  // What the validation loss looks at: the held-out views of the validation objects (or, without such objects, of the
  // training objects); without held-out views one fixed view each, between 5 and 11 where there are so many. At most
  // 32 pairs, spread evenly.
  struct View {
    int64_t item;
    int64_t view;
  };
  std::vector<View> validation_views() const;

 private:
  struct Item {
    dataset::Object object;
    at::Tensor latent;           // [C, r, r, r] or [T, C] float32
    at::Tensor coords;           // [T, 3] int32; undefined when dense
    at::Tensor shape;            // [T, K] float32 of a texture's shape; else undefined
    std::vector<int64_t> views;  // to train on
  };

  explicit TrainingData(dataset::PreparedDataset dataset) : dataset_(std::move(dataset)) {}
  Status add(const dataset::Object& object, const LatentForm& form);
  Status add_split(const std::string& split, const LatentForm& form);
  Result<std::vector<int64_t>> views_to_train_on(const dataset::Object& object) const;
  std::string left_out(const std::string& denoiser) const;

  dataset::PreparedDataset dataset_;
  std::vector<std::string> warnings_;
  std::vector<Item> items_;
  std::vector<int> repeats_;
  std::vector<int> holdout_;
};

}  // namespace espalier::train
