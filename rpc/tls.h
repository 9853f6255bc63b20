#pragma once

#include <memory>
#include <string>

#include "common/status.h"

namespace grpc {
class AuthContext;
class ChannelCredentials;
class ServerCredentials;
}  // namespace grpc

// TLS 1.2 and newer. All files are PEM and are read again every few seconds, so that certificates can be renewed under
// running programs.
namespace espalier {

// Takes the certification authorities of the operating system.
inline constexpr const char* kSystemAuthorities = "system";

struct ServerTls {
  std::string certificate_file;  // chain of the server; empty: no TLS
  std::string private_key_file;
  std::string client_ca_file;  // authority of workers' certificates; empty: no certificates are asked for

  bool enabled() const { return !certificate_file.empty() || !private_key_file.empty() || !client_ca_file.empty(); }
};

struct ClientTls {
  std::string ca_file;           // authority of the server's certificate, or "system"; empty: no TLS
  std::string certificate_file;  // of this client; empty: shows none
  std::string private_key_file;

  bool enabled() const { return !ca_file.empty() || !certificate_file.empty() || !private_key_file.empty(); }
};

// INVALID_ARGUMENT names the file that is missing, unreadable or does not belong to its partner.
Result<std::shared_ptr<grpc::ServerCredentials>> server_credentials(const ServerTls& tls);
Result<std::shared_ptr<grpc::ChannelCredentials>> channel_credentials(const ClientTls& tls);

// URIs of this form in a certificate name a worker; the rest is the worker's name.
inline constexpr const char* kWorkerUri = "spiffe://espalier/worker/";

// The worker URI of the verified certificate that the peer showed; empty without one.
std::string worker_of_peer(const grpc::AuthContext& peer);

}  // namespace espalier
