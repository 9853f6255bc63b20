#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <grpcpp/channel.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "common/status.h"

// Calls of any method, known only by its descriptor: what a test that must hold for every rpc is made of.
namespace espalier::coordinator {

// Every rpc of every service of proto/espalier/v1 that the coordinator serves.
std::vector<const google::protobuf::MethodDescriptor*> coordinator_methods();

// A request of that method whose fields named like a key of `values` hold its value, in nested messages too; leases and
// pages stay empty.
using FieldValues = std::vector<std::pair<std::string, std::string>>;
std::unique_ptr<google::protobuf::Message> request_of(const google::protobuf::MethodDescriptor& method,
                                                      const FieldValues& values);

struct CallEntries {
  std::string authorization;  // empty: none
  std::string tenant;         // espalier-tenant; empty: none
};
struct Answer {
  Status status;
  std::string bytes;  // of all response messages
};
// Sends the one request and reads everything that comes.
Answer call_any(const std::shared_ptr<grpc::Channel>& channel, const google::protobuf::MethodDescriptor& method,
                const google::protobuf::Message& request, const CallEntries& entries,
                std::chrono::milliseconds deadline = std::chrono::seconds(20));

}  // namespace espalier::coordinator
