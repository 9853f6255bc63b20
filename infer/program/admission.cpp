#include "infer/program/admission.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include "espalier/v1/tenants.grpc.pb.h"
#include "rpc/channel.h"
#include "rpc/status.h"
#include "rpc/transfer.h"

namespace espalier::infer {
namespace {

// The tenant that the key acts for.
Result<std::string> tenant_of(const std::shared_ptr<grpc::Channel>& channel) {
  const auto tenants = v1::TenantService::NewStub(channel);
  grpc::ClientContext context;
  set_deadline(context);
  v1::GetCallerResponse caller;
  ESP_TRY(from_grpc(tenants->GetCaller(&context, {}, &caller)));
  const v1::Role role = caller.role();
  if (role == v1::ROLE_SUBMIT || role == v1::ROLE_ADMIN || role == v1::ROLE_OPERATOR)
    return caller.tenant().tenant_id();
  return with_reason(absl::PermissionDeniedError("generating needs a key with the role submit or a higher one"),
                     "ROLE_INSUFFICIENT");
}

FetchAdapter fetch_through(const std::shared_ptr<grpc::Channel>& channel) {
  std::shared_ptr<v1::ArtefactService::Stub> artefacts = v1::ArtefactService::NewStub(channel);
  return [artefacts](const std::string& artefact_id, const std::filesystem::path& file, std::stop_token stop) {
    TransferOptions options;
    options.stop = std::move(stop);
    return download_file(*artefacts, artefact_id, file, options).status();
  };
}

}  // namespace

Admit admit_by(const std::string& coordinator, const ClientTls& tls, bool allow_plaintext_remote) {
  return [=](const CallerEntries& caller) -> Result<Caller> {
    ChannelSecurity security{.key = {}, .tenant_id = caller.tenant, .tls = tls};
    security.allow_plaintext_remote = allow_plaintext_remote;
    if (!caller.authorization.empty()) {
      ESP_ASSIGN(security.key, parse_authorization(caller.authorization));
    }
    ESP_ASSIGN(const auto channel, open_channel(coordinator, security));
    ESP_ASSIGN(std::string tenant, tenant_of(channel));
    return Caller{std::move(tenant), fetch_through(channel)};
  };
}

}  // namespace espalier::infer
