#pragma once

#include <cstdint>
#include <vector>

namespace espalier::train {

// An endless shuffled stream of items: the permutations of epoch 0, 1, 2, … one after the other. An item with repeat k
// appears k times in every epoch, nothing is ever dropped, and a data set smaller than a batch simply comes round
// again. Position p is a function of (seed, p): there is no state to save.
class ItemStream {
 public:
  // `repeats`: one entry >= 1 per item (TORCH_CHECK); their sum is the length of an epoch.
  ItemStream(const std::vector<int>& repeats, uint64_t seed);

  int64_t epoch_length() const { return static_cast<int64_t>(entries_.size()); }
  int64_t item(int64_t position);  // not thread-safe: remembers the last epoch's permutation

 private:
  std::vector<int64_t> entries_;  // items, repeated
  std::vector<int64_t> order_;    // of epoch_
  int64_t epoch_ = -1;
  uint64_t seed_;
};

}  // namespace espalier::train
