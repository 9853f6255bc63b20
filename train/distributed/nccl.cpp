#include "absl/strings/str_cat.h"
#include "train/distributed/backends.h"

#ifdef ESP_HAS_CUDA

#include <cstdlib>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

#include "train/distributed/process_group.h"
#include "train/distributed/rendezvous.h"
#include "train/torch_errors.h"

namespace espalier::train::distributed {

Result<std::unique_ptr<Collective>> connect_nccl(const GroupAddress& address, const OnListening& on_listening) {
  // A call that gets no answer must throw here, not end the process from the watchdog's thread.
  ::setenv("TORCH_NCCL_BLOCKING_WAIT", "1", 0);
  ESP_ASSIGN(auto store, meet(address, on_listening));
  try {
    auto options = c10d::ProcessGroupNCCL::Options::create();
    options->timeout = address.timeout;
    auto group = c10::make_intrusive<c10d::ProcessGroupNCCL>(std::move(store), address.rank, address.world_size,
                                                             std::move(options));
    return std::make_unique<ProcessGroupCollective>(std::move(group));
  } catch (const std::exception& error) {
    return absl::UnavailableError(absl::StrCat("joining the ranks: ", message_of(error)));
  }
}

}  // namespace espalier::train::distributed

#else

namespace espalier::train::distributed {

Result<std::unique_ptr<Collective>> connect_nccl(const GroupAddress&, const OnListening&) {
  return absl::UnimplementedError("this build has no CUDA: NCCL is not available");
}

}  // namespace espalier::train::distributed

#endif
