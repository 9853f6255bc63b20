#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/app.h"
#include "client/admin/subjects.h"
#include "client/call.h"
#include "client/job_view.h"
#include "espalier/v1/tenants.grpc.pb.h"

namespace espalier::client {
namespace {

using Tenants = v1::TenantService::Stub;

const char* state_of(const v1::Tenant& tenant) {
  return tenant.state() == v1::TENANT_STATE_SUSPENDED ? "suspended" : "active";
}

void show(const Command& command, const v1::Tenant& tenant) {
  std::cout << (command.json ? to_json(tenant) + "\n" : describe(tenant)) << std::flush;
}

Status create(const Command& command, const v1::CreateTenantRequest& request) {
  ESP_ASSIGN(const auto response, call(command, &Tenants::CreateTenant, request));
  show(command, response.tenant());
  return absl::OkStatus();
}

Status list(const Command& command) {
  return call_pages(command, &Tenants::ListTenants, v1::ListTenantsRequest(), kAll, [&](const auto& response) {
    for (const v1::Tenant& tenant : response.tenants()) {
      std::cout << (command.json ? to_json(tenant)
                                 : absl::StrFormat("%-31s %-9s weight %-8g %s", tenant.tenant_id(), state_of(tenant),
                                                   tenant.weight(), tenant.display_name()))
                << "\n";
    }
    return response.tenants_size();
  });
}

Status show_one(const Command& command, const std::string& tenant_id) {
  v1::GetTenantRequest request;
  request.set_tenant_id(tenant_id);
  ESP_ASSIGN(const auto response, call(command, &Tenants::GetTenant, request));
  show(command, response.tenant());
  return absl::OkStatus();
}

Status set_state(const Command& command, const std::string& tenant_id, v1::TenantState state) {
  v1::UpdateTenantRequest request;
  request.set_tenant_id(tenant_id);
  request.set_state(state);
  ESP_ASSIGN(const auto response, call(command, &Tenants::UpdateTenant, request));
  show(command, response.tenant());
  return absl::OkStatus();
}

std::string limit_text(double limit, const std::string& text) { return limit == 0 ? "no limit" : text; }

void add_tenant_create(cli::App& tenant, Command& command) {
  auto& verb = tenant.verb("create", "Make a tenant");
  auto request = std::make_shared<v1::CreateTenantRequest>();
  verb.text(
          "name", [request](const std::string& name) { request->set_display_name(name); }, "For people")
      .required();
  verb.number(
      "--weight", [request](double weight) { request->set_weight(weight); }, "Share of the workers (default: 1)");
  verb.flag(
      "--post-paid", [request] { request->set_post_paid(true); }, "Accept jobs without credit");
  verb.run([&command, request] { command.run = [&command, request] { return create(command, *request); }; });
}

}  // namespace

std::string describe(const v1::Tenant& tenant) {
  const v1::TenantLimits& limits = tenant.limits();
  std::string text;
  const auto line = [&text](const char* name, const std::string& value) {
    absl::StrAppend(&text, absl::StrFormat("%-20s %s\n", name, value));
  };
  line("tenant", tenant.tenant_id());
  line("name", tenant.display_name());
  line("state", state_of(tenant));
  line("weight", absl::StrCat(tenant.weight()));
  line("pays", tenant.post_paid() ? "afterwards" : "from credit");
  line("created", time_text(tenant.create_time(), tenant.has_create_time()));
  const auto count = [&](const char* name, double limit) { line(name, limit_text(limit, absl::StrCat(limit))); };
  count("queued jobs", limits.max_queued_jobs());
  count("running jobs", limits.max_running_jobs());
  count("gpus", limits.max_gpus());
  const double gibibytes = static_cast<double>(limits.max_storage_bytes()) / (1 << 30);
  line("storage", limit_text(gibibytes, absl::StrFormat("%g GiB", gibibytes)));
  line("spend a day", limit_text(static_cast<double>(limits.daily_spend_nanos()), money(limits.daily_spend_nanos())));
  count("requests a second", limits.requests_per_second());
  if (limits.request_burst() > 0) count("requests at once", limits.request_burst());
  return text;
}

void add_tenants(cli::App& admin, Command& command) {
  auto& tenant = admin.verb("tenant", "Make, list, suspend and resume tenants");
  tenant.require_verb();
  tenant.options_anywhere();
  add_tenant_create(tenant, command);
  tenant.verb("list", "All tenants, newest first").run([&command] {
    command.run = [&command] { return list(command); };
  });
  auto id = std::make_shared<std::string>();
  auto& one = tenant.verb("show", "One tenant with its limits");
  one.option("tenant", *id, "Tenant id (default: the key's own)");
  one.run([&command, id] { command.run = [&command, id] { return show_one(command, *id); }; });
  const auto add_state = [&](const char* name, const char* doc, v1::TenantState state) {
    auto& verb = tenant.verb(name, doc);
    verb.option("tenant", *id, "Tenant id").required();
    verb.run([&command, id, state] { command.run = [&command, id, state] { return set_state(command, *id, state); }; });
  };
  add_state("suspend", "Refuse the calls of a tenant's keys; nothing is lost", v1::TENANT_STATE_SUSPENDED);
  add_state("resume", "End a suspension", v1::TENANT_STATE_ACTIVE);
}

}  // namespace espalier::client
