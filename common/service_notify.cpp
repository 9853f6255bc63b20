#include "common/service_notify.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "absl/strings/numbers.h"

namespace espalier {

namespace {

std::chrono::microseconds watchdog_pause() {
  const char* text = std::getenv("WATCHDOG_USEC");
  const char* process = std::getenv("WATCHDOG_PID");
  int64_t period = 0, id = 0;
  if (text == nullptr || !absl::SimpleAtoi(text, &period) || period <= 0) return {};
  if (process != nullptr && (!absl::SimpleAtoi(process, &id) || id != ::getpid())) return {};  // meant for another
  return std::chrono::microseconds(period / 4);  // so that one that comes late does no harm
}

}  // namespace

bool notify_service(std::string_view state) {
  const char* name = std::getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  // A path, or a name in the abstract namespace, which begins with @ here and with a zero byte there.
  if (name == nullptr || (name[0] != '/' && name[0] != '@') || std::strlen(name) >= sizeof address.sun_path)
    return false;
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, name);
  if (name[0] == '@') address.sun_path[0] = '\0';
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(name));
  const bool sent = ::sendto(fd, state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address),
                             length) == static_cast<ssize_t>(state.size());
  ::close(fd);
  return sent;
}

Watchdog::Watchdog() : pause_(watchdog_pause()) {}

void Watchdog::beat() {
  const auto now = std::chrono::steady_clock::now();
  if (pause_.count() == 0 || now < next_) return;
  notify_service("WATCHDOG=1");
  next_ = now + pause_;
}

}  // namespace espalier
