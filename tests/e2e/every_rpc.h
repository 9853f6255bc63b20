#pragma once

#include <grpcpp/grpcpp.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace espalier::e2e {

// What one rpc answered.
struct RpcAnswer {
  std::string method;  // "JobService/GetJob"
  grpc::Status status;
  std::vector<std::string> messages;  // as they are on the wire

  bool holds(const std::string& text) const;
};

// Calls every rpc of the coordinator's services, also those that are added later, with a request in which each field
// named in `fields` ("job_id") has that value, at every depth. Streams are read for two seconds.
std::vector<RpcAnswer> call_every_rpc(const std::shared_ptr<grpc::Channel>& channel,
                                      const std::map<std::string, std::string>& fields, bool only_reading = false);

}  // namespace espalier::e2e
