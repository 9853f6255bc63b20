#include "train/distributed/rendezvous.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <torch/csrc/distributed/c10d/HashStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "train/torch_errors.h"

namespace espalier::train::distributed {
namespace {

using AddressList = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  Socket(Socket&& other) noexcept : fd_(other.release()) {}
  int fd() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

struct Listener {
  Socket socket;
  uint16_t port;
  std::string host;  // where rank 0 itself connects to
};

// `host` empty: all addresses.
Result<AddressList> resolve(const std::string& host, int port) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (host.empty() ? AI_PASSIVE : 0);
  const int error = ::getaddrinfo(host.empty() ? nullptr : host.c_str(), absl::StrCat(port).c_str(), &hints, &found);
  if (error != 0) return absl::UnavailableError(absl::StrCat("rendezvous: host '", host, "': ", ::gai_strerror(error)));
  return AddressList(found, &freeaddrinfo);
}

uint16_t port_of(int fd) {
  sockaddr_storage name{};
  socklen_t size = sizeof(name);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size);
  return ntohs(name.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(name).sin6_port
                                          : reinterpret_cast<const sockaddr_in&>(name).sin_port);
}

Result<Socket> bound(const addrinfo& to) {
  Socket socket(::socket(to.ai_family, to.ai_socktype | SOCK_CLOEXEC, to.ai_protocol));
  const int yes = 1;
  ::setsockopt(socket.fd(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (socket.fd() < 0 || ::bind(socket.fd(), to.ai_addr, to.ai_addrlen) != 0) {
    const int error = errno;
    return absl::ErrnoToStatus(error, "bind");
  }
  return socket;
}

Result<Listener> listen(const GroupAddress& address) {
  for (const std::string& host : {address.host, std::string()}) {
    ESP_ASSIGN(const auto list, resolve(host, address.port));
    auto socket = bound(*list);
    if (socket.ok()) {
      const auto port = port_of(socket->fd());
      return Listener{*std::move(socket), port, host.empty() ? "localhost" : host};
    }
    if (!absl::IsUnavailable(socket.status())) {  // EADDRNOTAVAIL: not an address of this machine
      return absl::UnavailableError(absl::StrCat("rendezvous: listening on ", address.host, ":", address.port, ": ",
                                                 socket.status().message(), "; port 0 takes a free one"));
    }
  }
  return absl::UnavailableError("rendezvous: this machine has no address to listen on");
}

std::string key(int rank) { return absl::StrCat("rank/", rank, "/is here"); }

// Every rank says that it is here, and waits for all the others.
Status wait_for_all(c10d::Store& store, const GroupAddress& address) {
  store.set(key(address.rank), std::vector<uint8_t>{1});
  std::vector<std::string> keys;
  for (int rank = 0; rank < address.world_size; ++rank) keys.push_back(key(rank));
  try {
    store.wait(keys, address.rendezvous_timeout);
    return absl::OkStatus();
  } catch (const c10::DistStoreError&) {
    std::vector<int> missing;
    for (int rank = 0; rank < address.world_size; ++rank) {
      if (!store.check({key(rank)})) missing.push_back(rank);
    }
    return absl::DeadlineExceededError(absl::StrCat("rendezvous: rank ", absl::StrJoin(missing, ", "),
                                                    " did not come within ", address.rendezvous_timeout.count() / 1000,
                                                    " s (world size ", address.world_size, ")"));
  }
}

}  // namespace

Result<c10::intrusive_ptr<c10d::Store>> meet(const GroupAddress& address, const OnListening& on_listening) {
  if (address.world_size == 1) return c10::make_intrusive<c10d::HashStore>();
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(address.port);
  options.isServer = address.rank == 0;
  options.waitWorkers = false;
  options.timeout = address.rendezvous_timeout;
  std::string host = address.host;
  if (address.rank == 0) {
    ESP_ASSIGN(auto listener, listen(address));
    options.port = listener.port;
    options.masterListenFd = listener.socket.release();
    host = listener.host;
  }
  try {
    auto store = c10::make_intrusive<c10d::TCPStore>(host, options);
    if (address.rank == 0 && on_listening) on_listening(options.port);
    ESP_TRY(wait_for_all(*store, address));
    return store;
  } catch (const c10::Error& error) {
    return absl::UnavailableError(absl::StrCat("rendezvous: rank 0 cannot be reached at ", address.host, ":",
                                               options.port, ": ", message_of(error)));
  }
}

}  // namespace espalier::train::distributed
