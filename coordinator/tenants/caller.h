#pragma once

#include <string>

#include "espalier/v1/tenants.pb.h"

namespace espalier::coordinator {

// Who makes a call, once it has been let in. Every handler gets one from the Gate and passes `tenant_id` on: it is the
// only tenant whose resources the call may touch.
struct Caller {
  std::string tenant_id;  // empty for a worker: there the leases name the tenants
  std::string principal;  // key_…, or spiffe://espalier/worker/… of a certificate; for the audit log
  v1::Role role = v1::ROLE_UNSPECIFIED;

  bool is_worker() const { return role == v1::ROLE_WORKER; }
  bool is_operator() const { return role == v1::ROLE_OPERATOR; }
};

}  // namespace espalier::coordinator
