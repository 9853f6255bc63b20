#pragma once

#include <string_view>

namespace espalier {

// Tells systemd how a service of type `notify` is: "READY=1" once it serves, "STOPPING=1" when it ends. Does nothing
// when the environment names no socket (NOTIFY_SOCKET). Returns whether it was told. See sd_notify(3).
bool notify_service(std::string_view state);

}  // namespace espalier
