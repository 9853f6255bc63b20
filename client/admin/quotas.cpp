#include <cmath>
#include <iostream>

#include "cli/app.h"
#include "client/admin/subjects.h"
#include "client/call.h"
#include "espalier/v1/tenants.grpc.pb.h"

namespace espalier::client {
namespace {

using Tenants = v1::TenantService::Stub;

constexpr double kNanosPerDollar = 1e9;
constexpr double kMostDollars = 1e9;

void print(const Command& command, const v1::Tenant& tenant) {
  std::cout << (command.json ? to_json(tenant) + "\n" : describe(tenant)) << std::flush;
}

Status show(const Command& command, const std::string& tenant_id) {
  v1::GetTenantRequest request;
  request.set_tenant_id(tenant_id);
  ESP_ASSIGN(const auto response, call(command, &Tenants::GetTenant, request));
  print(command, response.tenant());
  return absl::OkStatus();
}

Status set(const Command& command, const v1::UpdateTenantRequest& request) {
  ESP_ASSIGN(const auto response, call(command, &Tenants::UpdateTenant, request));
  print(command, response.tenant());
  return absl::OkStatus();
}

void add_job_limits(cli::App& verb, const std::shared_ptr<v1::UpdateTenantRequest>& request) {
  const auto add = [&](const char* flag, void (v1::TenantLimits::*set_limit)(int32_t), const char* doc) {
    verb.integer(
            flag, [request, set_limit](int32_t limit) { (request->mutable_limits()->*set_limit)(limit); }, doc)
        .range(0, 2147483647);
  };
  add("--max-queued-jobs", &v1::TenantLimits::set_max_queued_jobs, "Jobs that have not started; more are refused");
  add("--max-running-jobs", &v1::TenantLimits::set_max_running_jobs, "Jobs at the same time; more wait");
  add("--max-gpus", &v1::TenantLimits::set_max_gpus, "Ranks at the same time; more wait");
  add("--request-burst", &v1::TenantLimits::set_request_burst, "Requests of a key at once");
}

void add_other_limits(cli::App& verb, const std::shared_ptr<v1::UpdateTenantRequest>& request) {
  verb.bytes(
      "--max-storage",
      [request](uint64_t bytes) { request->mutable_limits()->set_max_storage_bytes(static_cast<int64_t>(bytes)); },
      "All artefacts together, for example 200GiB");
  verb.number(
          "--daily-spend",
          [request](double dollars) {
            request->mutable_limits()->set_daily_spend_nanos(std::llround(dollars * kNanosPerDollar));
          },
          "Dollars that a day's jobs may cost")
      .range(0.0, kMostDollars);
  verb.number(
          "--requests-per-second", [request](double rate) { request->mutable_limits()->set_requests_per_second(rate); },
          "Of each key")
      .range(0.0, 1e6);
  verb.number(
      "--weight", [request](double weight) { request->set_weight(weight); },
      "Share of the workers relative to other tenants, 0.001 to 1000");
}

}  // namespace

void add_quotas(cli::App& admin, Command& command) {
  auto& quota = admin.verb("quota", "Limits of tenants");
  quota.require_verb();
  quota.options_anywhere();
  auto id = std::make_shared<std::string>();
  auto& shown = quota.verb("show", "The limits of a tenant");
  shown.option("tenant", *id, "Tenant id (default: the key's own)");
  shown.run([&command, id] { command.run = [&command, id] { return show(command, *id); }; });

  auto& changed = quota.verb("set", "Change limits; 0 takes a limit away, what is not named stays");
  auto request = std::make_shared<v1::UpdateTenantRequest>();
  changed
      .text(
          "tenant", [request](const std::string& tenant) { request->set_tenant_id(tenant); }, "Tenant id")
      .required();
  add_job_limits(changed, request);
  add_other_limits(changed, request);
  changed.run([&command, request] { command.run = [&command, request] { return set(command, *request); }; });
}

}  // namespace espalier::client
