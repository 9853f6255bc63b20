// The class is inside libtorch_cpu; the wheel lacks gloo's headers, which come from the system.
#define USE_C10D_GLOO

#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#include "absl/strings/str_cat.h"
#include "train/distributed/backends.h"
#include "train/distributed/process_group.h"

namespace espalier::train::distributed {

Result<std::unique_ptr<Collective>> connect_gloo(const GroupAddress& address) {
  try {
    auto options = c10d::ProcessGroupGloo::Options::create();
    options->timeout = kTimeout;
    const bool local = address.world_size == 1 || address.host == "127.0.0.1" || address.host == "localhost";
    options->devices.push_back(local ? c10d::ProcessGroupGloo::createDeviceForHostname("127.0.0.1")
                                     : c10d::ProcessGroupGloo::createDefaultDevice());
    auto group = c10::make_intrusive<c10d::ProcessGroupGloo>(make_store(address), address.rank, address.world_size,
                                                             std::move(options));
    return std::make_unique<ProcessGroupCollective>(std::move(group));
  } catch (const std::exception& error) {
    return absl::UnavailableError(
        absl::StrCat("joining the ranks at ", address.host, ":", address.port, ": ", error.what()));
  }
}

}  // namespace espalier::train::distributed
