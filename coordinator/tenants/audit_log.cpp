#include "coordinator/tenants/audit_log.h"

#include <soci/soci.h>

#include "absl/strings/str_cat.h"
#include "common/sha256.h"
#include "coordinator/paging.h"
#include "coordinator/proto_json.h"

namespace espalier::coordinator {
namespace {

using soci::into;
using soci::use;

constexpr const char* kSelectEntries =
    "SELECT number, time_us, principal, tenant_id, action, target, details_json, sha256 FROM audit ";

// Lengths keep fields apart: no two rows have the same text.
std::string chained(const AuditLog::Row& row, const std::string& before) {
  std::string text = absl::StrCat(before, "\n", row.number, "\n", row.time_us);
  const AuditLog::Entry& entry = row.entry;
  for (const auto* field : {&entry.principal, &entry.tenant_id, &entry.action, &entry.target, &entry.details_json}) {
    absl::StrAppend(&text, "\n", field->size(), ":", *field);
  }
  return sha256_hex(text);
}

auto select(soci::session& sql, const std::string& query, AuditLog::Row& row) {
  AuditLog::Entry& entry = row.entry;
  return (sql.prepare << query, into(row.number), into(row.time_us), into(entry.principal), into(entry.tenant_id),
          into(entry.action), into(entry.target), into(entry.details_json), into(row.sha256));
}

}  // namespace

v1::AuditEntry to_proto(const AuditLog::Row& row) {
  v1::AuditEntry entry;
  entry.set_sequence(row.number);
  *entry.mutable_time() = to_timestamp(row.time_us);
  entry.set_principal(row.entry.principal);
  entry.set_tenant_id(row.entry.tenant_id);
  entry.set_action(row.entry.action);
  entry.set_target(row.entry.target);
  entry.set_details(row.entry.details_json);
  entry.set_sha256(row.sha256);
  return entry;
}

void AuditLog::append(const Entry& entry, long long now_us) {
  Row last;
  soci::statement newest = select(sql_, absl::StrCat(kSelectEntries, "ORDER BY number DESC LIMIT 1"), last);
  newest.execute(true);
  const Row row{last.number + 1, now_us, entry, ""};
  const std::string sha256 = chained(row, last.sha256);
  sql_ << "INSERT INTO audit (number, time_us, principal, tenant_id, action, target, details_json, sha256) "
          "VALUES (:number, :time, :principal, :tenant, :action, :target, :details, :sha256)",
      use(row.number), use(now_us), use(entry.principal), use(entry.tenant_id), use(entry.action), use(entry.target),
      use(entry.details_json), use(sha256);
}

std::vector<AuditLog::Row> AuditLog::list(const std::string& tenant_id, const PageQuery& page) {
  Row row;
  const char* condition = tenant_id.empty() ? "WHERE :tenant = ''" : "WHERE tenant_id = :tenant";
  const std::string query = absl::StrCat(kSelectEntries, condition, page_clause(page));
  soci::statement statement = (select(sql_, query, row), use(tenant_id));
  statement.execute();
  std::vector<Row> found;
  while (statement.fetch()) found.push_back(row);
  return found;
}

Result<AuditLog::Verified> AuditLog::verify() {
  Row row;
  soci::statement statement = select(sql_, absl::StrCat(kSelectEntries, "ORDER BY number"), row);
  statement.execute();
  Verified verified{0, ""};
  while (statement.fetch()) {
    if (row.number != verified.entries + 1 || row.sha256 != chained(row, verified.sha256)) {
      return absl::DataLossError(
          absl::StrCat("audit log: entry ", verified.entries + 1, " was altered or removed after it was written"));
    }
    verified = {row.number, row.sha256};
  }
  return verified;
}

}  // namespace espalier::coordinator
