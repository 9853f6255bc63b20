#include "absl/strings/str_cat.h"
#include "train/distributed/backends.h"

#ifdef ESP_HAS_CUDA

#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

#include "train/distributed/process_group.h"

namespace espalier::train::distributed {

Result<std::unique_ptr<Collective>> connect_nccl(const GroupAddress& address) {
  try {
    auto options = c10d::ProcessGroupNCCL::Options::create();
    options->timeout = kTimeout;
    auto group = c10::make_intrusive<c10d::ProcessGroupNCCL>(make_store(address), address.rank, address.world_size,
                                                             std::move(options));
    return std::make_unique<ProcessGroupCollective>(std::move(group));
  } catch (const std::exception& error) {
    return absl::UnavailableError(
        absl::StrCat("joining the ranks at ", address.host, ":", address.port, ": ", error.what()));
  }
}

}  // namespace espalier::train::distributed

#else

namespace espalier::train::distributed {

Result<std::unique_ptr<Collective>> connect_nccl(const GroupAddress&) {
  return absl::UnimplementedError("this build has no CUDA: NCCL is not available");
}

}  // namespace espalier::train::distributed

#endif
