#include "train/item_stream.h"

#include <torch/types.h>

#include <utility>

#include "train/random.h"

namespace espalier::train {

ItemStream::ItemStream(const std::vector<int>& repeats, uint64_t seed) : seed_(seed) {
  for (size_t i = 0; i < repeats.size(); ++i) {
    TORCH_CHECK(repeats[i] >= 1, "item ", i, " has repeat ", repeats[i]);
    entries_.insert(entries_.end(), static_cast<size_t>(repeats[i]), static_cast<int64_t>(i));
  }
  TORCH_CHECK(!entries_.empty(), "no items to train on");
}

int64_t ItemStream::item(int64_t position) {
  const int64_t epoch = position / epoch_length();
  if (epoch != epoch_) {
    order_ = entries_;
    auto random = random_stream(seed_, Purpose::kOrder, epoch);
    for (size_t i = order_.size(); i > 1; --i) std::swap(order_[i - 1], order_[random.below(static_cast<uint32_t>(i))]);
    epoch_ = epoch;
  }
  return order_[static_cast<size_t>(position % epoch_length())];
}

}  // namespace espalier::train
