#include "rpc/channel.h"

#include <arpa/inet.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/support/client_interceptor.h>

#include <map>

#include "absl/strings/str_cat.h"

namespace espalier {
namespace {

constexpr const char* kServiceConfig = R"({
  "methodConfig": [{
    "name": [
      {"service": "espalier.v1.JobService"},
      {"service": "espalier.v1.DatasetService"},
      {"service": "espalier.v1.AdapterService"},
      {"service": "espalier.v1.TenantService", "method": "GetCaller"},
      {"service": "espalier.v1.TenantService", "method": "GetTenant"},
      {"service": "espalier.v1.TenantService", "method": "ListTenants"},
      {"service": "espalier.v1.TenantService", "method": "ListKeys"},
      {"service": "espalier.v1.TenantService", "method": "ListAuditLog"},
      {"service": "espalier.v1.ArtefactService", "method": "StatUpload"},
      {"service": "espalier.v1.ArtefactService", "method": "GetArtefact"},
      {"service": "espalier.v1.ArtefactService", "method": "Download"}
    ],
    "retryPolicy": {
      "maxAttempts": 4,
      "initialBackoff": "0.2s",
      "maxBackoff": "5s",
      "backoffMultiplier": 2,
      "retryableStatusCodes": ["UNAVAILABLE"]
    }
  }]
})";

grpc::ChannelArguments arguments_of(const ChannelOptions& options) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(options.max_receive_bytes);
  arguments.SetMaxSendMessageSize(options.max_send_bytes);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5'000);  // in fact the time that a connection may take to open
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 10'000);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // one channel's failures do not slow another's reconnect
  arguments.SetServiceConfigJSON(kServiceConfig);
  return arguments;
}

// Names the caller in the metadata of every call. Not as call credentials: those are refused without TLS, also on
// loopback.
class Caller final : public grpc::experimental::Interceptor {
 public:
  explicit Caller(const std::multimap<std::string, std::string>& entries) : entries_(entries) {}
  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(grpc::experimental::InterceptionHookPoints::PRE_SEND_INITIAL_METADATA)) {
      methods->GetSendInitialMetadata()->insert(entries_.begin(), entries_.end());
    }
    methods->Proceed();
  }

 private:
  const std::multimap<std::string, std::string>& entries_;
};

class CallerFactory final : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  explicit CallerFactory(const ChannelSecurity& security) {
    if (security.key) entries_.emplace(kAuthorizationEntry, authorization_of(*security.key));
    if (!security.tenant_id.empty()) entries_.emplace(kTenantEntry, security.tenant_id);
  }
  grpc::experimental::Interceptor* CreateClientInterceptor(grpc::experimental::ClientRpcInfo*) override {
    return new Caller(entries_);
  }

 private:
  std::multimap<std::string, std::string> entries_;
};

}  // namespace

bool is_loopback(const std::string& address) {
  const std::string host = address.ends_with(']') ? address : address.substr(0, address.rfind(':'));
  in_addr numeric;  // a name such as 127.example.org may lead anywhere
  return host == "localhost" || host == "[::1]" ||
         (inet_pton(AF_INET, host.c_str(), &numeric) == 1 && ntohl(numeric.s_addr) >> 24 == 127);
}

Result<std::shared_ptr<grpc::Channel>> open_channel(const std::string& address, const ChannelSecurity& security,
                                                    const ChannelOptions& options) {
  auto credentials = grpc::InsecureChannelCredentials();
  if (security.tls.enabled()) {
    ESP_ASSIGN(credentials, channel_credentials(security.tls));
  } else if (security.key && !is_loopback(address) && !security.allow_plaintext_remote) {
    return absl::InvalidArgumentError(absl::StrCat(
        address,
        ": the key would go unencrypted to another machine (allowed: a TLS authority, or plaintext allowed "
        "explicitly inside a trusted network)"));
  }
  std::vector<std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(std::make_unique<CallerFactory>(security));
  return grpc::experimental::CreateCustomChannelWithInterceptors(address, credentials, arguments_of(options),
                                                                 std::move(interceptors));
}

std::shared_ptr<grpc::Channel> make_channel(const std::string& address, const ChannelOptions& options) {
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments_of(options));
}

void set_deadline(grpc::ClientContext& context, std::chrono::milliseconds from_now) {
  context.set_deadline(std::chrono::system_clock::now() + from_now);
}

}  // namespace espalier
