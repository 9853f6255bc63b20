#include "cli/app.h"
#include "client/admin/subjects.h"
#include "client/job_view.h"

namespace espalier::client {

std::string time_text(const google::protobuf::Timestamp& time, bool present) {
  return present ? local_time(time) : "-";
}

void add_admin(cli::App& app, Command& command) {
  auto& admin = app.verb("admin", "Tenants, keys, limits, credit and certificates of an installation");
  admin.require_verb();
  admin.options_anywhere();
  for (const auto add : {add_tenants, add_keys, add_quotas, add_credit, add_audit, add_certificates})
    add(admin, command);
}

}  // namespace espalier::client
