#pragma once

#include <grpcpp/server_context.h>

#include <chrono>

#include "common/status.h"
#include "coordinator/clock.h"
#include "coordinator/metrics/call_log.h"
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
  // All must outlive the gate. `calls` is told of every call that has ended.
  Gate(Database& database, KeyRing& keys, const Clock& clock, CallLog* calls = nullptr)
      : database_(database), keys_(keys), clock_(clock), calls_(calls) {}

  // `Request` is the request message of the rpc: each rpc has its own, so it names the method.
  template <class Request, class Body>
  grpc::Status admit(const grpc::ServerContext& context, Body&& body) {
    const auto begin = std::chrono::steady_clock::now();
    const Result<Caller> caller = authorise(*Request::descriptor(), context);
    const Status status = caller.ok() ? body(*caller) : caller.status();
    tell(*Request::descriptor(), caller, status, std::chrono::steady_clock::now() - begin);
    return to_grpc(status);
  }

  // The caller when it may make the call with this request; the errors that tenants.proto lists for every call.
  Result<Caller> authorise(const google::protobuf::Descriptor& request, const grpc::ServerContext& context);

  // For streams that stay: OK while the caller's key and tenant are still let in.
  Status recheck(const Caller& caller);

 private:
  Result<Caller> by_certificate(const Access& access, const grpc::ServerContext& context) const;
  Result<KeyRing::Holder> authenticate(const Credentials& credentials, const std::string& address);
  Status spend_request(const KeyRing::Holder& holder);
  Result<Caller> in_named_tenant(Caller caller, const Access& access, const std::string& tenant_id);

  void tell(const google::protobuf::Descriptor& request, const Result<Caller>& caller, const Status& status,
            std::chrono::duration<double> time) const;

  Database& database_;
  KeyRing& keys_;
  const Clock& clock_;
  CallLog* const calls_;
  TokenBuckets rates_;     // by key
  TokenBuckets failures_;  // by address
};

}  // namespace espalier::coordinator
