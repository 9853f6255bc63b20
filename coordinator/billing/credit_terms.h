#pragma once

#include <cstdint>
#include <string>

#include "common/status.h"

namespace soci {
class session;
}

namespace espalier::coordinator {

// How a tenant pays.
struct CreditTerms {
  bool post_paid = false;         // jobs need no credit
  int64_t daily_spend_nanos = 0;  // most that may be charged and held in one day (UTC); 0: no limit
};

// In the open transaction of `sql`. The local tenant is post-paid before its row is there.
Result<CreditTerms> credit_terms(soci::session& sql, const std::string& tenant_id);

}  // namespace espalier::coordinator
