#pragma once

#include <cstdint>
#include <functional>

#include "common/status.h"

namespace espalier::nano {

// Calls task(0) … task(count - 1), each once, on `threads` threads. The first error stops the rest and is returned.
Status for_each_index(uint32_t count, int threads, const std::function<Status(uint32_t)>& task);

}  // namespace espalier::nano
