#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <utility>

namespace espalier::train {

// Condition tokens of (item, view), encoded when first wanted and kept while they fit. The encoder sees one picture at
// a time, so the tokens are the same bits whether they come from memory or are made again. Not thread-safe.
class ConditionCache {
 public:
  // encode(item, view) -> [L, W].
  using Encode = std::function<at::Tensor(int64_t item, int64_t view)>;

  ConditionCache(Encode encode, int64_t max_bytes) : encode_(std::move(encode)), free_bytes_(max_bytes) {}

  at::Tensor tokens(int64_t item, int64_t view);  // [L, W]

 private:
  Encode encode_;
  int64_t free_bytes_;
  std::map<std::pair<int64_t, int64_t>, at::Tensor> tokens_;
};

}  // namespace espalier::train
