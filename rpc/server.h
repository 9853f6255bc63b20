#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "common/status.h"
#include "rpc/tls.h"

namespace grpc {
class Service;
class Server;
}  // namespace grpc

namespace espalier {

struct ServerOptions {
  std::string listen = "127.0.0.1:0";  // HOST:PORT; port 0 takes a free one
  ServerTls tls = {};
  // Without TLS, an address that is not loopback is refused unless this is set.
  bool allow_plaintext_remote = false;
  int max_receive_bytes = 4 << 20;
};

// A gRPC server with what all of ours share: keepalive, message limits, health service (grpc.health.v1, for the whole
// server, ""), reflection. Thread-safe.
class RpcServer {
 public:
  // The services stay the caller's and must outlive the server.
  // INVALID_ARGUMENT: a malformed or forbidden address, or the TLS files. UNAVAILABLE: the port is taken.
  static Result<std::unique_ptr<RpcServer>> start(const ServerOptions& options,
                                                  const std::vector<grpc::Service*>& services);
  // Shuts down at once when it is still running.
  ~RpcServer();

  const std::string& address() const { return address_; }  // HOST:PORT with the real port

  // Turns health to NOT_SERVING, refuses new calls and waits until the running ones have ended or `grace` is over;
  // then cancels them. End long streams yourself before calling. Idempotent.
  void shutdown(std::chrono::milliseconds grace);

 private:
  RpcServer() = default;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

}  // namespace espalier
