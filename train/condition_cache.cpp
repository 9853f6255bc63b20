#include "train/condition_cache.h"

#include <torch/types.h>

namespace espalier::train {

at::Tensor ConditionCache::tokens(int64_t item, int64_t view) {
  const auto found = tokens_.find({item, view});
  if (found != tokens_.end()) return found->second;
  at::NoGradGuard no_grad;
  const auto made = encode_(item, view);
  const auto bytes = static_cast<int64_t>(made.nbytes());
  if (bytes <= free_bytes_) {
    free_bytes_ -= bytes;
    tokens_.emplace(std::pair{item, view}, made);
  }
  return made;
}

}  // namespace espalier::train
