#include "rpc/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <mutex>

#include "absl/strings/str_cat.h"
#include "rpc/channel.h"

namespace espalier {
namespace {

struct Endpoint {
  std::string host;
  int port = 0;
};

Result<Endpoint> parse_endpoint(const std::string& text) {
  const auto colon = text.rfind(':');
  const auto fault = absl::InvalidArgumentError(
      absl::StrCat("listen address '", text, "' is not HOST:PORT with a port of 0 to 65535"));
  if (colon == std::string::npos || colon == 0 || colon + 1 == text.size() || text.size() - colon > 6) return fault;
  int port = 0;
  for (const char digit : text.substr(colon + 1)) {
    if (digit < '0' || digit > '9') return fault;
    port = port * 10 + (digit - '0');
  }
  if (port > 65535) return fault;
  return Endpoint{text.substr(0, colon), port};
}

// Plugins are process-wide and must be on before the first builder.
void enable_plugins() {
  static std::once_flag once;
  std::call_once(once, [] {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  });
}

void set_limits(grpc::ServerBuilder& builder, const ServerOptions& options) {
  builder.SetMaxReceiveMessageSize(options.max_receive_bytes);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 256);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // a second server on the port is an error, not a share
}

}  // namespace

Result<std::unique_ptr<RpcServer>> RpcServer::start(const ServerOptions& options,
                                                    const std::vector<grpc::Service*>& services) {
  ESP_ASSIGN(const Endpoint endpoint, parse_endpoint(options.listen));
  auto credentials = grpc::InsecureServerCredentials();
  if (options.tls.enabled()) {
    ESP_ASSIGN(credentials, server_credentials(options.tls));
  } else if (!options.allow_plaintext_remote && !is_loopback(options.listen)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "listen address '", options.listen,
        "' is reachable from other machines and the connection is not encrypted; set a TLS certificate, listen on "
        "127.0.0.1, or allow plaintext explicitly inside a trusted network"));
  }
  enable_plugins();
  grpc::ServerBuilder builder;
  set_limits(builder, options);
  int port = 0;
  builder.AddListeningPort(options.listen, credentials, &port);
  for (grpc::Service* service : services) builder.RegisterService(service);
  auto server = std::unique_ptr<RpcServer>(new RpcServer);
  server->server_ = builder.BuildAndStart();
  if (!server->server_ || port == 0) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", options.listen, ": is the port in use?"));
  }
  server->address_ = absl::StrCat(endpoint.host, ":", port);
  server->server_->GetHealthCheckService()->SetServingStatus(true);
  return server;
}

RpcServer::~RpcServer() {
  if (server_) shutdown(std::chrono::milliseconds(0));
}

void RpcServer::shutdown(std::chrono::milliseconds grace) {
  server_->GetHealthCheckService()->Shutdown();
  server_->Shutdown(std::chrono::system_clock::now() + grace);
  server_->Wait();
}

}  // namespace espalier
