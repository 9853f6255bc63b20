#include "rpc/metadata.h"

#include <grpcpp/server_context.h>

namespace espalier {

std::string metadata_entry(const grpc::ServerContext& context, const char* name) {
  const auto& entries = context.client_metadata();
  const auto found = entries.find(name);
  return found == entries.end() ? "" : std::string(found->second.data(), found->second.size());
}

}  // namespace espalier
