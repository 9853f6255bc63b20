#include <google/protobuf/util/time_util.h>

#include <iostream>

#include "absl/strings/str_format.h"
#include "cli/app.h"
#include "client/admin/subjects.h"
#include "client/call.h"
#include "common/secrets.h"
#include "espalier/v1/tenants.grpc.pb.h"
#include "rpc/roles.h"

namespace espalier::client {
namespace {

using Tenants = v1::TenantService::Stub;

struct CreateOptions {
  std::string tenant, name, role = "submit", output;
  int days = 0;
};

// To the file, or else to stdout: the secret is shown this once.
Status deliver(const Command& command, const CreateOptions& options, v1::CreateKeyResponse response) {
  const std::string text = to_text(Credentials{response.key().key_id(), response.secret()});
  if (!options.output.empty()) {
    response.clear_secret();
    ESP_TRY(write_secret_file(options.output, text + "\n"));
  }
  if (command.json) {
    std::cout << to_json(response) << std::endl;
    return absl::OkStatus();
  }
  std::cout << response.key().key_id() << " for " << role_name(response.key().role()) << " in tenant "
            << response.key().tenant_id() << "\n";
  if (options.output.empty()) {
    std::cout << "ESPALIER_KEY=" << text << "\nThe secret is not stored and not shown again." << std::endl;
  } else {
    std::cout << "written to " << options.output << "; use it with --key-file or ESPALIER_KEY_FILE" << std::endl;
  }
  return absl::OkStatus();
}

Status create(const Command& command, const CreateOptions& options) {
  v1::CreateKeyRequest request;
  request.set_tenant_id(options.tenant);
  request.set_name(options.name);
  request.set_role(role_named(options.role));
  if (options.days > 0) {
    using google::protobuf::util::TimeUtil;
    *request.mutable_expire_time() = TimeUtil::GetCurrentTime() + TimeUtil::HoursToDuration(24 * int64_t{options.days});
  }
  ESP_ASSIGN(auto response, call(command, &Tenants::CreateKey, request));
  return deliver(command, options, std::move(response));
}

std::string state_of(const v1::Key& key) {
  using google::protobuf::util::TimeUtil;
  if (key.has_revoke_time()) return "revoked";
  if (!key.has_expire_time()) return "active";
  return key.expire_time() < TimeUtil::GetCurrentTime() ? "expired" : "active";
}

Status list(const Command& command, const std::string& tenant_id) {
  v1::ListKeysRequest request;
  request.set_tenant_id(tenant_id);
  return call_pages(command, &Tenants::ListKeys, request, kAll, [&](const auto& response) {
    for (const v1::Key& key : response.keys()) {
      std::cout << (command.json ? to_json(key)
                                 : absl::StrFormat("%-31s %-9s %-8s expires %-19s used %-19s %s", key.key_id(),
                                                   role_name(key.role()), state_of(key),
                                                   time_text(key.expire_time(), key.has_expire_time()),
                                                   time_text(key.last_use_time(), key.has_last_use_time()), key.name()))
                << "\n";
    }
    return response.keys_size();
  });
}

Status revoke(const Command& command, const std::string& key_id) {
  v1::RevokeKeyRequest request;
  request.set_key_id(key_id);
  ESP_ASSIGN(const auto response, call(command, &Tenants::RevokeKey, request));
  std::cout << (command.json ? to_json(response.key()) : key_id + " is revoked") << std::endl;
  return absl::OkStatus();
}

void add_key_create(cli::App& key, Command& command) {
  auto& verb = key.verb("create", "Make a key; its secret is shown once");
  auto options = std::make_shared<CreateOptions>();
  verb.option("tenant", options->tenant, "Tenant id (default: the calling key's own)");
  verb.option("--role", options->role, "What it may do")
      .choices({"read", "submit", "admin", "operator", "worker"})
      .show_default();
  verb.option("--name", options->name, "For people");
  verb.option("--days", options->days, "Until it expires (default: never)").range(1, 36'500);
  verb.option("-o,--output", options->output, "Write it to this file (mode 0600) instead of showing it");
  verb.run([&command, options] { command.run = [&command, options] { return create(command, *options); }; });
}

}  // namespace

void add_keys(cli::App& admin, Command& command) {
  auto& key = admin.verb("key", "Make, list and revoke keys");
  key.require_verb();
  key.options_anywhere();
  add_key_create(key, command);
  auto tenant = std::make_shared<std::string>();
  auto& all = key.verb("list", "Keys of a tenant, newest first");
  all.option("tenant", *tenant, "Tenant id (default: the calling key's own)");
  all.run([&command, tenant] { command.run = [&command, tenant] { return list(command, *tenant); }; });
  auto id = std::make_shared<std::string>();
  auto& end = key.verb("revoke", "End a key for good; effective within 5 seconds");
  end.option("key", *id, "Key id").required();
  end.run([&command, id] { command.run = [&command, id] { return revoke(command, *id); }; });
}

}  // namespace espalier::client
