#include "train/tree_sum.h"

#include <torch/types.h>

namespace espalier::train {

void TreeSum::raise(const Node& left, const at::Tensor& right) {
  auto value = std::move(held_.extract(left).mapped());
  if (right.defined()) value.add_(right);
  held_.emplace(Node{left.first + 1, left.second / 2}, std::move(value));
}

// As a binary counter: a part that is the right one of a pair is added to the left one at once, and the sum likewise
// one level up. So a rank keeps a few sums per level, not its parts.
void TreeSum::add(int64_t index, const at::Tensor& part) {
  held_.emplace(Node{0, index}, part.clone());
  for (Node right{0, index}; right.second % 2 == 1;) {
    const Node left{right.first, right.second - 1};
    if (held_.count(left) == 0) break;
    const auto value = std::move(held_.extract(right).mapped());
    raise(left, value);
    right = {left.first + 1, left.second / 2};
  }
}

// The owner of the left child gets the right one from its owner.
void TreeSum::merge(const Node& left) {
  const Node right{left.first, left.second + 1};
  const int me = collective_.rank();
  if (!exists(right)) {
    if (owner(left) == me) raise(left, {});
  } else if (owner(left) == owner(right)) {
    // Already done in add() where both were complete then.
    if (held_.count(right) > 0) raise(left, std::exchange(held_.extract(right).mapped(), {}));
  } else if (owner(right) == me) {
    collective_.send(held_.at(right), owner(left));
    held_.erase(right);
  } else if (owner(left) == me) {
    auto received = at::empty_like(held_.at(left));
    collective_.receive(received, owner(right));
    raise(left, received);
  }
}

void TreeSum::reduce(at::Tensor& total) {
  // One order for all ranks: whoever waits, waits for a merge that comes earlier.
  int level = 0;
  for (; exists({level, 1}); ++level) {
    for (int64_t index = 0; exists({level, index}); index += 2) merge({level, index});
  }
  if (owner({level, 0}) == collective_.rank()) total.copy_(held_.at({level, 0}));
  held_.clear();
}

}  // namespace espalier::train
