#pragma once

#include <chrono>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include "train/collective.h"

namespace espalier::train::distributed {

// How long a rank waits for the others: longer than the slowest update or validation, so only a lost rank meets it.
inline constexpr std::chrono::minutes kTimeout{30};

// The store where ranks find each other: in memory for a group of one, else TCP on rank 0. Throws c10::Error.
c10::intrusive_ptr<c10d::Store> make_store(const GroupAddress& address);

// Any c10d backend as a Collective.
class ProcessGroupCollective : public Collective {
 public:
  explicit ProcessGroupCollective(c10::intrusive_ptr<c10d::Backend> group) : group_(std::move(group)) {}
  int rank() const override { return group_->getRank(); }
  int world_size() const override { return group_->getSize(); }
  void all_reduce_sum(at::Tensor& tensor) override;
  void broadcast(at::Tensor& tensor) override;
  void barrier() override;

 private:
  c10::intrusive_ptr<c10d::Backend> group_;
};

}  // namespace espalier::train::distributed
