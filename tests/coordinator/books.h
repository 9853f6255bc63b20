#pragma once

#include <map>
#include <string>
#include <vector>

#include "coordinator/billing/billing_desk.h"
#include "coordinator/billing/ledger_check.h"
#include "coordinator/tenants/tenant_repository.h"
#include "tests/coordinator/fixtures.h"

namespace espalier::coordinator {

inline constexpr int64_t kObject = 100'230'000;  // of the shipped price list
inline constexpr int64_t kGeometryStep = 3'246'000;
inline const Caller kOperator{kLocalTenant, "key_operator", v1::ROLE_OPERATOR};

// The money side of a coordinator's inside.
class Books {
 public:
  explicit Books(Inside& inside) : inside_(inside) {}

  BillingDesk desk() { return BillingDesk(*inside_.database, inside_.clock, billing::PriceList()); }

  // From now on the local tenant needs credit, and has `nanos`.
  void pay_in_advance(int64_t nanos, int64_t daily_spend_nanos = 0) {
    TenantRecord tenant;
    tenant.id = kLocalTenant;
    tenant.limits = no_limits();
    tenant.limits.set_daily_spend_nanos(daily_spend_nanos);
    EXPECT_TRUE(inside_.database
                    ->transaction([&](soci::session& sql) -> Status {
                      TenantRepository(sql).insert(tenant);
                      return absl::OkStatus();
                    })
                    .ok());
    EXPECT_TRUE(nanos == 0 || grant("first-grant", nanos).ok());
  }

  Result<v1::GrantCreditResponse> grant(const std::string& request_id, int64_t nanos, const std::string& note = "") {
    v1::GrantCreditRequest request;
    request.set_request_id(request_id);
    request.set_tenant_id(kLocalTenant);
    request.set_amount_nanos(nanos);
    request.set_note(note);
    return desk().grant(kOperator, request);
  }

  v1::Balance balance() { return *desk().balance(kLocalTenant); }

  // Oldest first: "hold submit 1002300000", …
  std::vector<std::string> booked(const std::string& job_id = "") {
    v1::ListLedgerTransactionsRequest request;
    request.mutable_page()->set_page_size(1000);
    request.set_job_id(job_id);
    const auto response = desk().transactions(kLocalTenant, request);
    EXPECT_TRUE(response.ok()) << response.status();
    std::vector<std::string> lines;
    for (const auto& transaction : response->transactions()) {
      std::string kind = v1::LedgerKind_Name(transaction.kind()).substr(std::string("LEDGER_KIND_").size());
      lines.insert(lines.begin(),
                   kind + " " + transaction.line() + " " + std::to_string(transaction.postings(1).amount_nanos()));
    }
    return lines;
  }

  std::vector<v1::UsageEvent> usage() {
    std::vector<v1::UsageEvent> events;
    const auto records = desk().next_usage(kLocalTenant, {}, 0);
    for (const UsageRecord& record : *records) events.push_back(record.event);
    return events;
  }

  // What the check finds wrong: "tenant account: description".
  std::vector<std::string> faults() {
    std::vector<std::string> lines;
    const auto verified = desk().verify();
    for (const v1::LedgerFault& fault : verified->faults()) {
      lines.push_back(fault.tenant_id() + " " + fault.account() + ": " + fault.description());
    }
    return lines;
  }

 private:
  Inside& inside_;
};

}  // namespace espalier::coordinator
