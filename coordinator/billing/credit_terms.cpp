#include "coordinator/billing/credit_terms.h"

#include "coordinator/jobs/records.h"
#include "coordinator/tenants/tenant_repository.h"

namespace espalier::coordinator {

Result<CreditTerms> credit_terms(soci::session& sql, const std::string& tenant_id) {
  const auto tenant = TenantRepository(sql).find(tenant_id);
  // Whoever runs the installation needs no credit with themselves.
  if (absl::IsNotFound(tenant.status())) return CreditTerms{.post_paid = tenant_id == kLocalTenant};
  ESP_TRY(tenant.status());
  return CreditTerms{.post_paid = tenant->post_paid, .daily_spend_nanos = tenant->limits.daily_spend_nanos()};
}

}  // namespace espalier::coordinator
