#pragma once

#include <functional>
#include <memory>

#include "train/collective.h"

// The implementations behind Collective::connect; arguments and errors as there.
namespace espalier::train::distributed {

using OnListening = std::function<void(int port)>;

Result<std::unique_ptr<Collective>> connect_gloo(const GroupAddress& address, const OnListening& on_listening);
// UNIMPLEMENTED in builds without CUDA.
Result<std::unique_ptr<Collective>> connect_nccl(const GroupAddress& address, const OnListening& on_listening);

}  // namespace espalier::train::distributed
