#pragma once

#include <string>

namespace grpc {
class ServerContext;
}

namespace espalier {

// The value of a metadata entry of a call, as it came; empty when there is none.
std::string metadata_entry(const grpc::ServerContext& context, const char* name);

}  // namespace espalier
