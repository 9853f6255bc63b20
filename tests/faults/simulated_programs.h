#pragma once

#include <optional>
#include <string>
#include <vector>

#include "espalier/v1/worker.pb.h"

// What stands in for espalier-preprocess and espalier-train: instantaneous, and every output byte is a function of all
// that it must depend on (source, settings, every step in order) and of nothing else, so that a wrong, stale or
// mixed-up input shows in the output.
namespace espalier::faults {

inline constexpr int kStepsAtOnce = 10;  // steps of one call of Training::advance

// An archive of `objects` made-up assets; `unique` tells it from all others.
std::string make_archive(const std::string& unique, int objects);

// The prepared dataset of a whole archive. An archive that is a prepared dataset already comes back as it is.
std::string prepare(const std::string& archive, const v1::PreprocessTask& task);
// One shard of it.
std::string prepare_part(const std::string& archive, const v1::PreprocessTask& task);
// The dataset again, from all parts by shard.
std::string merge(const std::vector<std::string>& parts);

bool is_dataset(const std::string& bytes);
int objects_in(const std::string& dataset_or_archive);

// One training, at any moment a function of (settings, dataset, steps so far).
class Training {
 public:
  Training(const v1::TrainTask& task, const std::string& dataset);

  // Goes on from a checkpoint. False: it is not one of this training, and nothing has changed.
  bool resume(const std::string& checkpoint);
  void advance();

  int step() const { return step_; }
  bool done() const { return step_ >= steps_; }
  std::string checkpoint() const;
  // `stamp` names the attempt that made it; the rest does not depend on it.
  std::string adapter(const std::string& stamp) const;

 private:
  int steps_ = 0;
  int step_ = 0;
  std::string origin_;   // digest of all that the training starts from
  std::string history_;  // digest of every step since
};

// The stamp in an adapter's first line; nothing when it is no adapter.
std::optional<std::string> stamp_of(const std::string& adapter);

}  // namespace espalier::faults
