#pragma once

#include <memory>

#include "train/collective.h"

// The implementations behind Collective::connect.
namespace espalier::train::distributed {

Result<std::unique_ptr<Collective>> connect_gloo(const GroupAddress& address);
// UNIMPLEMENTED in builds without CUDA.
Result<std::unique_ptr<Collective>> connect_nccl(const GroupAddress& address);

}  // namespace espalier::train::distributed
