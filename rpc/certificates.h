#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/status.h"

namespace espalier {

struct CertificateRequest {
  std::vector<std::string> hosts = {};    // names and addresses of the server, beside localhost
  std::vector<std::string> workers = {};  // one certificate each; plain names of [A-Za-z0-9._-]
  int days = 825;                         // that server and workers' certificates last, 1 to 3650; the authority's 3650
};

// Makes what TLS between our programs takes, for those without an authority of their own: ca.crt and ca.key, server.crt
// and server.key, worker-NAME.crt and worker-NAME.key in `folder` (PEM; P-256; keys with mode 0600). An authority that
// is there already is used again, so that certificates can be added and renewed; those asked for are replaced.
// Returns the files written. INVALID_ARGUMENT: a host or name that cannot be in a certificate; a damaged authority.
Result<std::vector<std::filesystem::path>> make_certificates(const std::filesystem::path& folder,
                                                             const CertificateRequest& request);

}  // namespace espalier
