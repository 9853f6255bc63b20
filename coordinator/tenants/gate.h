#pragma once

#include <grpcpp/server_context.h>

#include "common/status.h"
#include "coordinator/clock.h"
#include "coordinator/tenants/access_table.h"
#include "coordinator/tenants/caller.h"
#include "coordinator/tenants/key_ring.h"
#include "coordinator/tenants/token_bucket.h"
#include "rpc/status.h"

namespace espalier::coordinator {

// The one door to every service of the coordinator. A handler's whole body is
//
//   return gate_.admit<v1::GetJobRequest>(*context, [&](const Caller& caller) -> Status { … });
//
// and the body only runs when the caller may make this call. Which role that takes is in access_table.cpp; a method
// without a row there is refused. Thread-safe.
class Gate {
 public:
  // All must outlive the gate.
  Gate(Database& database, KeyRing& keys, const Clock& clock) : database_(database), keys_(keys), clock_(clock) {}

  // `Request` is the request message of the rpc: each rpc has its own, so it names the method.
  template <class Request, class Body>
  grpc::Status admit(const grpc::ServerContext& context, Body&& body) {
    const Result<Caller> caller = authorise(*Request::descriptor(), context);
    return to_grpc(caller.ok() ? body(*caller) : caller.status());
  }

  // The caller when it may make the call with this request; the errors that tenants.proto lists for every call.
  Result<Caller> authorise(const google::protobuf::Descriptor& request, const grpc::ServerContext& context);

 private:
  Result<Caller> by_certificate(const Access& access, const grpc::ServerContext& context) const;
  Result<KeyRing::Holder> authenticate(const Credentials& credentials, const std::string& address);
  Status spend_request(const KeyRing::Holder& holder);
  Result<Caller> in_named_tenant(Caller caller, const Access& access, const std::string& tenant_id);

  Database& database_;
  KeyRing& keys_;
  const Clock& clock_;
  TokenBuckets rates_;     // by key
  TokenBuckets failures_;  // by address
};

}  // namespace espalier::coordinator
