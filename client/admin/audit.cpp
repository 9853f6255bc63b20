#include <iostream>

#include "absl/strings/str_format.h"
#include "cli/app.h"
#include "client/admin/subjects.h"
#include "client/call.h"
#include "client/job_view.h"
#include "espalier/v1/tenants.grpc.pb.h"

namespace espalier::client {
namespace {

using Tenants = v1::TenantService::Stub;

struct AuditOptions {
  std::string tenant;
  int limit = 100;
  bool verify = false;
};

Status verify_log(const Command& command) {
  ESP_ASSIGN(const auto response, call(command, &Tenants::VerifyAuditLog, v1::VerifyAuditLogRequest()));
  std::cout << (command.json
                    ? to_json(response)
                    : absl::StrFormat("%d entries, unaltered; newest %s", response.entries(), response.sha256()))
            << std::endl;
  return absl::OkStatus();
}

Status list(const Command& command, const AuditOptions& options) {
  v1::ListAuditLogRequest request;
  request.set_tenant_id(options.tenant);
  return call_pages(command, &Tenants::ListAuditLog, request, options.limit, [&](const auto& response) {
    for (const v1::AuditEntry& entry : response.entries()) {
      std::cout << (command.json ? to_json(entry)
                                 : absl::StrFormat("%6d  %s  %-31s %-14s %-31s in %s  %s", entry.sequence(),
                                                   local_time(entry.time()), entry.principal(), entry.action(),
                                                   entry.target(), entry.tenant_id(), entry.details()))
                << "\n";
    }
    return response.entries_size();
  });
}

}  // namespace

void add_audit(cli::App& admin, Command& command) {
  auto& verb = admin.verb("audit", "What was done to tenants, keys, credit and artefacts, newest first");
  auto options = std::make_shared<AuditOptions>();
  verb.option("tenant", options->tenant, "Tenant id (default: all that the key may see)");
  verb.option("--limit", options->limit, "At most so many").range(1, 1'000'000).show_default();
  verb.flag("--verify", options->verify, "Check instead that no entry was altered or removed");
  verb.run([&command, options] {
    command.run = [&command, options] { return options->verify ? verify_log(command) : list(command, *options); };
  });
}

}  // namespace espalier::client
