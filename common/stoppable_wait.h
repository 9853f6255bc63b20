#pragma once

#include <chrono>
#include <stop_token>

namespace espalier {

// Sleeps for `time`, or until a stop is requested. Returns whether the time passed without one.
bool wait_unless_stopped(std::chrono::milliseconds time, const std::stop_token& stop);

}  // namespace espalier
