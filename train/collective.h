#pragma once

#include <cstdint>
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
  std::string host = "127.0.0.1";  // of rank 0
  int port = 0;                    // of rank 0's store; 0 only for a group of one
};

// RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT. INVALID_ARGUMENT names the variable that makes no sense.
Result<GroupAddress> group_from_environment();

// All calls are collective: every rank makes them in the same order. A lost rank makes them throw c10::Error after the
// timeout. Not thread-safe.
class Collective {
 public:
  // Joins the group: NCCL when `cuda` (only in builds with CUDA), else Gloo. UNAVAILABLE: rank 0 cannot be reached.
  static Result<std::unique_ptr<Collective>> connect(const GroupAddress& address, bool cuda = false);
  virtual ~Collective() = default;

  virtual int rank() const = 0;
  virtual int world_size() const = 0;
  // In place, dense tensors of one device kind.
  virtual void all_reduce_sum(at::Tensor& tensor) = 0;
  virtual void broadcast(at::Tensor& tensor) = 0;  // from rank 0
  virtual void barrier() = 0;
};

}  // namespace espalier::train
