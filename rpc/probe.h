#pragma once

#include <grpcpp/channel.h>

#include <chrono>
#include <memory>
#include <string>

#include "common/status.h"

namespace espalier {

// Whether a server knows `method` ("/espalier.v1.JobService/GetJob"), asked with an empty request and without a key: OK
// whatever it answers. UNIMPLEMENTED: another server. UNAVAILABLE or DEADLINE_EXCEEDED: none, or it does not speak
// gRPC.
Status probe(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
             std::chrono::milliseconds patience);

}  // namespace espalier
