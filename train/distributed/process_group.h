#pragma once

#include <torch/csrc/distributed/c10d/Backend.hpp>

#include "train/collective.h"

namespace espalier::train::distributed {

// Any c10d backend as a Collective.
class ProcessGroupCollective : public Collective {
 public:
  explicit ProcessGroupCollective(c10::intrusive_ptr<c10d::Backend> group) : group_(std::move(group)) {}
  ~ProcessGroupCollective() override;
  int rank() const override { return group_->getRank(); }
  int world_size() const override { return group_->getSize(); }
  void all_reduce_sum(at::Tensor& tensor) override;
  void broadcast(at::Tensor& tensor, int root) override;
  void send(const at::Tensor& tensor, int rank) override;
  void receive(at::Tensor& tensor, int rank) override;
  void barrier() override;

 private:
  template <class Start>
  void finish(const char* what, Start&& start);

  c10::intrusive_ptr<c10d::Backend> group_;
  bool broken_ = false;
};

}  // namespace espalier::train::distributed
