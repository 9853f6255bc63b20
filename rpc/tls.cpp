#include "rpc/tls.h"

#include <grpcpp/security/auth_context.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/files.h"

namespace espalier {
namespace {

using grpc::experimental::FileWatcherCertificateProvider;

constexpr unsigned int kRefreshSeconds = 10;
constexpr uint64_t kMostPemBytes = 1 << 20;

Status check_readable(const std::string& file, const char* what) {
  if (file.empty()) return absl::InvalidArgumentError(absl::StrCat("TLS: ", what, " is not set"));
  const Status status = read_file(file, kMostPemBytes).status();
  if (status.ok()) return status;
  return absl::InvalidArgumentError(absl::StrCat("TLS: ", what, ": ", std::string(status.message())));
}

// That the private key is the certificate's.
Status check_pair(const std::string& certificate_file, const std::string& private_key_file) {
  ESP_TRY(check_readable(certificate_file, "certificate"));
  ESP_TRY(check_readable(private_key_file, "private key"));
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_method()), &SSL_CTX_free);
  const bool loaded = SSL_CTX_use_certificate_chain_file(context.get(), certificate_file.c_str()) == 1 &&
                      SSL_CTX_use_PrivateKey_file(context.get(), private_key_file.c_str(), SSL_FILETYPE_PEM) == 1;
  const bool match = loaded && SSL_CTX_check_private_key(context.get()) == 1;
  ERR_clear_error();
  if (match) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("TLS: ", certificate_file, " and ", private_key_file,
                                                 " are not a certificate and its private key (PEM)"));
}

}  // namespace

Result<std::shared_ptr<grpc::ServerCredentials>> server_credentials(const ServerTls& tls) {
  ESP_TRY(check_pair(tls.certificate_file, tls.private_key_file));
  if (!tls.client_ca_file.empty()) ESP_TRY(check_readable(tls.client_ca_file, "authority of clients"));
  grpc::experimental::TlsServerCredentialsOptions options(std::make_shared<FileWatcherCertificateProvider>(
      tls.private_key_file, tls.certificate_file, tls.client_ca_file, kRefreshSeconds));
  options.watch_identity_key_cert_pairs();
  if (!tls.client_ca_file.empty()) {
    options.watch_root_certs();
    // Not required: tenants come with keys.
    options.set_cert_request_type(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return grpc::experimental::TlsServerCredentials(options);
}

Result<std::shared_ptr<grpc::ChannelCredentials>> channel_credentials(const ClientTls& tls) {
  const bool own = !tls.certificate_file.empty() || !tls.private_key_file.empty();
  const bool system = tls.ca_file == kSystemAuthorities;
  if (!system) ESP_TRY(check_readable(tls.ca_file, "authority of the server"));
  if (own) ESP_TRY(check_pair(tls.certificate_file, tls.private_key_file));
  grpc::experimental::TlsChannelCredentialsOptions options;
  if (own || !system) {
    options.set_certificate_provider(std::make_shared<FileWatcherCertificateProvider>(
        tls.private_key_file, tls.certificate_file, system ? "" : tls.ca_file, kRefreshSeconds));
  }
  if (own) options.watch_identity_key_cert_pairs();
  if (!system) options.watch_root_certs();
  return grpc::experimental::TlsCredentials(options);
}

std::string worker_of_peer(const grpc::AuthContext& peer) {
  if (!peer.IsPeerAuthenticated()) return "";
  const auto uris = peer.FindPropertyValues("peer_uri");
  if (uris.size() != 1) return "";
  std::string uri(uris[0].data(), uris[0].size());
  return absl::StartsWith(uri, kWorkerUri) && uri.size() > std::string(kWorkerUri).size() ? uri : "";
}

}  // namespace espalier
