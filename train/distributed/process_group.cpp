#include "train/distributed/process_group.h"

#include <torch/csrc/distributed/c10d/HashStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <torch/csrc/distributed/c10d/Work.hpp>

namespace espalier::train::distributed {

c10::intrusive_ptr<c10d::Store> make_store(const GroupAddress& address) {
  if (address.world_size == 1) return c10::make_intrusive<c10d::HashStore>();
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(address.port);
  options.isServer = address.rank == 0;
  options.numWorkers = static_cast<size_t>(address.world_size);
  options.timeout = std::chrono::milliseconds(std::chrono::minutes(5));
  return c10::make_intrusive<c10d::TCPStore>(address.host, options);
}

void ProcessGroupCollective::all_reduce_sum(at::Tensor& tensor) {
  std::vector<at::Tensor> tensors{tensor};
  group_->allreduce(tensors)->wait();
}

void ProcessGroupCollective::broadcast(at::Tensor& tensor) {
  std::vector<at::Tensor> tensors{tensor};
  group_->broadcast(tensors)->wait();
}

void ProcessGroupCollective::barrier() { group_->barrier()->wait(); }

}  // namespace espalier::train::distributed
