#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "common/status.h"

namespace at {
class Tensor;
}

// The group of ranks that train one model together. One rank is a group too, so there is one path through the code.
namespace espalier::train {

struct GroupAddress {
  int rank = 0;
  int world_size = 1;
  std::string host = "127.0.0.1";  // of rank 0, as the other ranks reach it
  int port = 0;                    // of rank 0's store; 0 on rank 0: any free one
  // How long a rank waits for the others to come, and later for each answer. The second must be longer than the
  // slowest update or validation of the slowest rank, so that only a lost rank meets it.
  std::chrono::milliseconds rendezvous_timeout = std::chrono::minutes(5);
  std::chrono::milliseconds timeout = std::chrono::minutes(10);
};

// Every rule of the comments above. INVALID_ARGUMENT lists all faults.
Status validate(const GroupAddress& address);

// RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT. INVALID_ARGUMENT names the variable that makes no sense.
Result<GroupAddress> group_from_environment();

// All calls but send and receive are collective: every rank makes them in the same order. When a rank is gone they
// throw StatusError UNAVAILABLE, when one is silent for the timeout DEADLINE_EXCEEDED; nothing but destruction is
// allowed afterwards. Tensors are dense and of one device kind. Not thread-safe.
class Collective {
 public:
  // Joins the group: NCCL when `cuda` (only in builds with CUDA), else Gloo. `on_listening` is called on rank 0 with
  // the port of its store, before the others can come. UNAVAILABLE: rank 0 cannot be reached, or its port is taken.
  // DEADLINE_EXCEEDED names the ranks that did not come.
  static Result<std::unique_ptr<Collective>> connect(const GroupAddress& address, bool cuda = false,
                                                     const std::function<void(int port)>& on_listening = {});
  virtual ~Collective() = default;

  virtual int rank() const = 0;
  virtual int world_size() const = 0;
  virtual void all_reduce_sum(at::Tensor& tensor) = 0;  // in place, in an order of the backend's choice
  virtual void broadcast(at::Tensor& tensor, int root = 0) = 0;
  virtual void send(const at::Tensor& tensor, int rank) = 0;
  virtual void receive(at::Tensor& tensor, int rank) = 0;
  virtual void barrier() = 0;
};

}  // namespace espalier::train
