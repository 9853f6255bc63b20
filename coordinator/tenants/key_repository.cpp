#include "coordinator/tenants/key_repository.h"

#include <soci/soci.h>

#include "absl/strings/str_cat.h"
#include "coordinator/paging.h"
#include "coordinator/proto_json.h"

namespace espalier::coordinator {
namespace {

using soci::into;
using soci::use;

constexpr const char* kSelectKeys =
    "SELECT number, id, tenant_id, name, role, digest, create_us, expire_us, revoke_us, last_use_us FROM keys ";

// A row as the library reads it.
struct KeyRow {
  KeyRecord key;
  int role = 0;

  KeyRecord record() const {
    KeyRecord record = key;
    record.role = static_cast<v1::Role>(role);
    return record;
  }
};

auto select(soci::session& sql, const std::string& query, KeyRow& row) {
  KeyRecord& key = row.key;
  return (sql.prepare << query, into(key.number), into(key.id), into(key.tenant_id), into(key.name), into(row.role),
          into(key.digest), into(key.create_us), into(key.expire_us), into(key.revoke_us), into(key.last_use_us));
}

}  // namespace

v1::Key to_proto(const KeyRecord& record) {
  v1::Key key;
  key.set_key_id(record.id);
  key.set_tenant_id(record.tenant_id);
  key.set_name(record.name);
  key.set_role(record.role);
  *key.mutable_create_time() = to_timestamp(record.create_us);
  if (record.expire_us) *key.mutable_expire_time() = to_timestamp(record.expire_us);
  if (record.revoke_us) *key.mutable_revoke_time() = to_timestamp(record.revoke_us);
  if (record.last_use_us) *key.mutable_last_use_time() = to_timestamp(record.last_use_us);
  return key;
}

void KeyRepository::insert(const KeyRecord& key) {
  const int role = key.role;
  sql_ << "INSERT INTO keys (id, tenant_id, name, role, digest, create_us, expire_us, revoke_us, last_use_us) "
          "VALUES (:id, :tenant, :name, :role, :digest, :created, :expires, 0, 0)",
      use(key.id), use(key.tenant_id), use(key.name), use(role), use(key.digest), use(key.create_us),
      use(key.expire_us);
}

Result<KeyRecord> KeyRepository::find(const std::string& id) {
  KeyRow row;
  soci::statement statement = (select(sql_, absl::StrCat(kSelectKeys, "WHERE id = :id"), row), use(id));
  if (!statement.execute(true)) return absl::NotFoundError(absl::StrCat("no key ", id));
  return row.record();
}

std::vector<KeyRecord> KeyRepository::list(const std::string& tenant_id, const PageQuery& page) {
  KeyRow row;
  const std::string query = absl::StrCat(kSelectKeys, "WHERE tenant_id = :tenant", page_clause(page));
  soci::statement statement = (select(sql_, query, row), use(tenant_id));
  statement.execute();
  std::vector<KeyRecord> found;
  while (statement.fetch()) found.push_back(row.record());
  return found;
}

void KeyRepository::revoke(const std::string& id, long long now_us) {
  sql_ << "UPDATE keys SET revoke_us = :now WHERE id = :id AND revoke_us = 0", use(now_us), use(id);
}

void KeyRepository::note_use(const std::string& id, long long now_us) {
  sql_ << "UPDATE keys SET last_use_us = :now WHERE id = :id", use(now_us), use(id);
}

}  // namespace espalier::coordinator
