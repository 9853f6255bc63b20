#include "client/admin.h"

#include <CLI/CLI.hpp>

#include "client/job_view.h"

namespace espalier::client {

std::string role_text(v1::Role role) {
  switch (role) {
    case v1::ROLE_READ:
      return "read";
    case v1::ROLE_SUBMIT:
      return "submit";
    case v1::ROLE_ADMIN:
      return "admin";
    case v1::ROLE_OPERATOR:
      return "operator";
    case v1::ROLE_WORKER:
      return "worker";
    default:
      return "unknown";
  }
}

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
