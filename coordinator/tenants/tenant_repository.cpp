#include "coordinator/tenants/tenant_repository.h"

#include <soci/soci.h>

#include "absl/strings/str_cat.h"
#include "coordinator/paging.h"
#include "coordinator/proto_json.h"

namespace espalier::coordinator {
namespace {

using soci::into;
using soci::use;

constexpr const char* kSelectTenants =
    "SELECT number, id, display_name, state, weight, limits_json, post_paid, create_us FROM tenants ";

// A row as the library reads it.
struct TenantRow {
  TenantRecord tenant;
  int state = 0;
  int post_paid = 0;
  std::string limits;

  Result<TenantRecord> record() const {
    TenantRecord record = tenant;
    record.state = static_cast<v1::TenantState>(state);
    record.post_paid = post_paid != 0;
    v1::TenantLimits stored;
    ESP_TRY(annotate(parse_json(limits, &stored), absl::StrCat("limits of tenant ", record.id)));
    record.limits = no_limits();
    record.limits.MergeFrom(stored);
    return record;
  }
};

auto select(soci::session& sql, const std::string& query, TenantRow& row) {
  TenantRecord& tenant = row.tenant;
  return (sql.prepare << query, into(tenant.number), into(tenant.id), into(tenant.display_name), into(row.state),
          into(tenant.weight), into(row.limits), into(row.post_paid), into(tenant.create_us));
}

Result<std::vector<TenantRecord>> select_all(soci::session& sql, const std::string& query) {
  TenantRow row;
  soci::statement statement = select(sql, query, row);
  statement.execute();
  std::vector<TenantRecord> found;
  while (statement.fetch()) {
    ESP_ASSIGN(found.emplace_back(), row.record());
  }
  return found;
}

}  // namespace

v1::Tenant to_proto(const TenantRecord& record) {
  v1::Tenant tenant;
  tenant.set_tenant_id(record.id);
  tenant.set_display_name(record.display_name);
  tenant.set_state(record.state);
  tenant.set_weight(record.weight);
  *tenant.mutable_limits() = record.limits;
  tenant.set_post_paid(record.post_paid);
  *tenant.mutable_create_time() = to_timestamp(record.create_us);
  return tenant;
}

v1::TenantLimits default_limits() {
  v1::TenantLimits limits = no_limits();
  limits.set_max_queued_jobs(100);
  limits.set_max_running_jobs(4);
  limits.set_max_gpus(8);
  limits.set_max_storage_bytes(int64_t{200} << 30);
  limits.set_requests_per_second(50);
  limits.set_request_burst(100);
  return limits;
}

v1::TenantLimits no_limits() {
  v1::TenantLimits limits;
  limits.set_max_queued_jobs(0);
  limits.set_max_running_jobs(0);
  limits.set_max_gpus(0);
  limits.set_max_storage_bytes(0);
  limits.set_daily_spend_nanos(0);
  limits.set_requests_per_second(0);
  limits.set_request_burst(0);
  return limits;
}

void TenantRepository::insert(const TenantRecord& tenant) {
  const int state = tenant.state;
  const int post_paid = tenant.post_paid;
  const std::string limits = to_json(tenant.limits);
  sql_ << "INSERT INTO tenants (id, display_name, state, weight, limits_json, post_paid, create_us) "
          "VALUES (:id, :name, :state, :weight, :limits, :post_paid, :created)",
      use(tenant.id), use(tenant.display_name), use(state), use(tenant.weight), use(limits), use(post_paid),
      use(tenant.create_us);
}

void TenantRepository::update(const TenantRecord& tenant) {
  const int state = tenant.state;
  const int post_paid = tenant.post_paid;
  const std::string limits = to_json(tenant.limits);
  sql_ << "UPDATE tenants SET display_name = :name, state = :state, weight = :weight, limits_json = :limits, "
          "post_paid = :post_paid WHERE id = :id",
      use(tenant.display_name), use(state), use(tenant.weight), use(limits), use(post_paid), use(tenant.id);
}

Result<TenantRecord> TenantRepository::find(const std::string& id) {
  TenantRow row;
  soci::statement statement = (select(sql_, absl::StrCat(kSelectTenants, "WHERE id = :id"), row), use(id));
  if (!statement.execute(true)) return absl::NotFoundError(absl::StrCat("no tenant ", id));
  return row.record();
}

Result<std::vector<TenantRecord>> TenantRepository::all() {
  return select_all(sql_, absl::StrCat(kSelectTenants, "ORDER BY number"));
}

Result<std::vector<TenantRecord>> TenantRepository::list(const PageQuery& page) {
  return select_all(sql_, absl::StrCat(kSelectTenants, "WHERE 1 = 1", page_clause(page)));
}

}  // namespace espalier::coordinator
