#include "common/route.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"

namespace espalier {
namespace {

constexpr const char* kAnyPort = "9";

// Connecting a datagram socket only chooses the route. False: errno says why.
bool name_of_way(const addrinfo& to, sockaddr_storage& name) {
  const int fd = ::socket(to.ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  socklen_t size = sizeof name;
  const bool found = ::connect(fd, to.ai_addr, to.ai_addrlen) == 0 &&
                     ::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size) == 0;
  const int error = errno;
  ::close(fd);
  errno = error;
  return found;
}

}  // namespace

Result<std::string> address_towards(const std::string& host) {
  addrinfo hints{}, *list = nullptr;
  hints.ai_socktype = SOCK_DGRAM;
  if (const int error = ::getaddrinfo(host.c_str(), kAnyPort, &hints, &list); error != 0) {
    return absl::UnavailableError(absl::StrCat("host '", host, "': ", ::gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(list, &freeaddrinfo);
  sockaddr_storage name{};
  if (!name_of_way(*list, name)) {
    return absl::UnavailableError(absl::StrCat("no way from here to ", host, ": ", std::strerror(errno)));
  }
  char text[NI_MAXHOST];
  const int error = ::getnameinfo(reinterpret_cast<const sockaddr*>(&name), sizeof name, text, sizeof text, nullptr, 0,
                                  NI_NUMERICHOST);
  if (error != 0) return absl::UnavailableError(absl::StrCat("own address: ", ::gai_strerror(error)));
  return std::string(text);
}

std::string host_name() {
  std::array<char, 256> name{};
  const bool named = ::gethostname(name.data(), name.size() - 1) == 0 && name.front() != '\0';
  return named ? name.data() : "localhost";
}

}  // namespace espalier
