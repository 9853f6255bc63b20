#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "train/collective.h"

namespace espalier::train {

// The sum of the parts 0..n-1 of an update, held by any ranks, added as one fixed binary tree: ((0+1)+(2+3))+… Floating
// point addition depends on its order, and here the order does not depend on who holds which part: one rank and many
// get the same bits. A rank without parts takes part with nothing.
class TreeSum {
 public:
  // `owners`: the rank that adds each part. The same on all ranks.
  TreeSum(std::vector<int> owners, Collective& collective) : owners_(std::move(owners)), collective_(collective) {}

  // Part `index`, which must be this rank's; copied. In ascending order.
  void add(int64_t index, const at::Tensor& part);
  // Collective: the owner of part 0 gets the sum in `total`, of the parts' shape; on other ranks it is left alone.
  void reduce(at::Tensor& total);

 private:
  using Node = std::pair<int, int64_t>;  // level, index: the sum of the parts index << level … before the next one

  bool exists(const Node& node) const { return first_part(node) < owners_.size(); }
  int owner(const Node& node) const { return owners_[first_part(node)]; }
  static size_t first_part(const Node& node) { return static_cast<size_t>(node.second) << node.first; }
  // The left child of two becomes their parent.
  void raise(const Node& left, const at::Tensor& right);
  void merge(const Node& left);

  std::vector<int> owners_;
  Collective& collective_;
  std::map<Node, at::Tensor> held_;  // sums this rank has, none part of another
};

}  // namespace espalier::train
