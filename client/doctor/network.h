#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "client/command.h"
#include "client/doctor/row.h"

namespace espalier::client {

// What is behind a port of 127.0.0.1.
enum class PortUse { kFree, kOurs, kTaken };

// kOurs: a server that knows `method` (rpc/probe.h) answers.
PortUse port_use(int port, const std::string& method);
DoctorRow port_row(const std::string& what, int port, PortUse use);

// This machine's clock, in seconds since 1970, against sense and, where it is known, the coordinator's.
DoctorRow clock_row(int64_t now, std::optional<int64_t> coordinator);

// The coordinator's clock; absent: it cannot be reached, or not with the key that there is.
std::optional<int64_t> coordinator_clock(const Command& command);

}  // namespace espalier::client
