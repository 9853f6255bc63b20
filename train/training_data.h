#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "common/status.h"
#include "dataset/reader.h"
#include "train/trainer.h"

namespace espalier::train {

// The part of a prepared dataset a run uses: latents in memory, pictures read when wanted. Items 0..size()-1 are the
// training objects; the validation objects follow them.
class TrainingData {
 public:
  // `grid` and `channels`: of the sparse-structure latent the network takes.
  // INVALID_ARGUMENT: another resolution than the request's, latents that do not fit the network, no object to train
  // on, or no view left beside the held-out ones.
  static Result<TrainingData> open(const TrainConfig& config, int64_t channels, int64_t grid);

  const dataset::PreparedDataset& dataset() const { return dataset_; }
  int64_t size() const { return static_cast<int64_t>(repeats_.size()); }
  const std::vector<int>& repeats() const { return repeats_; }  // of the training objects

  const at::Tensor& latent(int64_t item) const { return latents_[static_cast<size_t>(item)]; }  // [C, r, r, r] f32
  const std::vector<int64_t>& training_views(int64_t item) const { return views_[static_cast<size_t>(item)]; }

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
  explicit TrainingData(dataset::PreparedDataset dataset) : dataset_(std::move(dataset)) {}
  Status add(const dataset::Object& object, int64_t channels, int64_t grid, const TrainConfig& config);

  dataset::PreparedDataset dataset_;
  std::vector<dataset::Object> objects_;  // by item
  std::vector<at::Tensor> latents_;
  std::vector<std::vector<int64_t>> views_;
  std::vector<int> repeats_;
  std::vector<int> holdout_;
};

}  // namespace espalier::train
