// The class is inside libtorch_cpu; the wheel lacks gloo's headers, which come from the system.
#define USE_C10D_GLOO

#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#include "absl/strings/str_cat.h"
#include "common/route.h"
#include "train/distributed/backends.h"
#include "train/distributed/process_group.h"
#include "train/distributed/rendezvous.h"
#include "train/torch_errors.h"

namespace espalier::train::distributed {

Result<std::unique_ptr<Collective>> connect_gloo(const GroupAddress& address, const OnListening& on_listening) {
  ESP_ASSIGN(auto store, meet(address, on_listening));
  ESP_ASSIGN(const auto own, address_towards(address.host));  // where the other ranks reach this one
  try {
    auto options = c10d::ProcessGroupGloo::Options::create();
    options->timeout = address.timeout;
    options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(own));
    auto group = c10::make_intrusive<c10d::ProcessGroupGloo>(std::move(store), address.rank, address.world_size,
                                                             std::move(options));
    return std::make_unique<ProcessGroupCollective>(std::move(group));
  } catch (const std::exception& error) {
    return absl::UnavailableError(absl::StrCat("joining the ranks from ", own, ": ", message_of(error)));
  }
}

}  // namespace espalier::train::distributed
