#include "client/admin.h"

#include <CLI/CLI.hpp>

#include "client/job_view.h"

namespace espalier::client {

std::string time_text(const google::protobuf::Timestamp& time, bool present) {
  return present ? local_time(time) : "-";
}

void add_admin(CLI::App& app, Command& command) {
  auto* admin = app.add_subcommand("admin", "Tenants, keys, limits, credit and certificates of an installation");
  admin->require_subcommand(1);
  admin->fallthrough();
  for (const auto add : {add_tenants, add_keys, add_quotas, add_credit, add_audit, add_certificates})
    add(*admin, command);
}

}  // namespace espalier::client
