#pragma once

#include <string>

#include "common/status.h"

namespace espalier {

// The numeric address of this machine on the way to `host` (a name or an address): where that machine, and others of
// its network, reach this one. Sends nothing. UNAVAILABLE: the name is unknown, or there is no way.
Result<std::string> address_towards(const std::string& host);

// This machine's own name; "localhost" when it has none.
std::string host_name();

}  // namespace espalier
