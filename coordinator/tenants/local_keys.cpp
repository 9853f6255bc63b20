#include "coordinator/tenants/local_keys.h"

#include <soci/soci.h>

#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/log.h"
#include "common/secrets.h"
#include "coordinator/jobs/records.h"
#include "coordinator/tenants/audit_log.h"
#include "coordinator/tenants/key_repository.h"
#include "coordinator/tenants/tenant_repository.h"

namespace espalier::coordinator {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPrincipal = "coordinator";

Status make_private_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (!error) fs::permissions(folder, fs::perms::owner_all, error);
  if (error) return absl::InternalError(absl::StrCat(folder.string(), ": ", error.message()));
  return absl::OkStatus();
}

Status ensure_tenant(Database& database, int64_t now_us) {
  return database.transaction([&](soci::session& sql) -> Status {
    TenantRepository tenants(sql);
    const auto found = tenants.find(kLocalTenant);
    if (!absl::IsNotFound(found.status())) return found.status();
    TenantRecord tenant;
    tenant.id = kLocalTenant;
    tenant.display_name = "This installation";
    tenant.limits = no_limits();
    tenant.post_paid = true;
    tenant.create_us = now_us;
    tenants.insert(tenant);
    AuditLog(sql).append({kPrincipal, kLocalTenant, "tenant.create", kLocalTenant}, now_us);
    return absl::OkStatus();
  });
}

// Whether the file holds a key that works. Errors of the database, and of a file that is there but unreadable.
Result<bool> holds_key(Database& database, const Pepper& pepper, const fs::path& file, int64_t now_us) {
  const auto credentials = read_key_file(file);
  if (absl::IsNotFound(credentials.status())) return false;
  ESP_TRY(credentials.status());
  return database.transaction([&](soci::session& sql) -> Result<bool> {
    const auto key = KeyRepository(sql).find(credentials->key_id);
    if (absl::IsNotFound(key.status())) return false;
    ESP_TRY(key.status());
    const bool lasts = key->revoke_us == 0 && (key->expire_us == 0 || key->expire_us > now_us);
    return lasts && equal_in_constant_time(key->digest, pepper.digest(*credentials));
  });
}

Status make_key(Database& database, const Pepper& pepper, const fs::path& file, v1::Role role, int64_t now_us) {
  const Credentials credentials = new_credentials();
  KeyRecord key;
  key.id = credentials.key_id;
  key.tenant_id = kLocalTenant;
  key.name = file.filename().string();
  key.role = role;
  key.digest = pepper.digest(credentials);
  key.create_us = now_us;
  ESP_TRY(database.transaction([&](soci::session& sql) -> Status {
    KeyRepository(sql).insert(key);
    AuditLog(sql).append({kPrincipal, kLocalTenant, "key.create", key.id}, now_us);
    return absl::OkStatus();
  }));
  log_info("made a key", {{"key", key.id}, {"file", file.string()}});
  return write_secret_file(file, to_text(credentials) + "\n");
}

}  // namespace

Result<Pepper> open_pepper(Database& database, const fs::path& folder) {
  ESP_TRY(make_private_folder(folder));
  auto pepper = Pepper::read(folder / kPepperFile);
  if (!absl::IsNotFound(pepper.status())) return pepper;
  ESP_ASSIGN(const bool unused, database.transaction([](soci::session& sql) -> Result<bool> {
    int count = 0;
    sql << "SELECT COUNT(*) FROM keys", soci::into(count);
    return count == 0;
  }));
  if (unused) return Pepper::create(folder / kPepperFile);
  return absl::DataLossError(absl::StrCat((folder / kPepperFile).string(),
                                          ": is missing; restore it from a backup: no key can be checked without it"));
}

Status ensure_local_keys(Database& database, const Pepper& pepper, const fs::path& folder, const Clock& clock) {
  const int64_t now_us = clock.now_us();
  ESP_TRY(ensure_tenant(database, now_us));
  for (const auto& [name, role] : {std::pair{kOperatorKeyFile, v1::ROLE_OPERATOR}, {kWorkerKeyFile, v1::ROLE_WORKER}}) {
    ESP_ASSIGN(const bool there, holds_key(database, pepper, folder / name, now_us));
    if (!there) ESP_TRY(make_key(database, pepper, folder / name, role, now_us));
  }
  return absl::OkStatus();
}

}  // namespace espalier::coordinator
