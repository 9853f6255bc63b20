#pragma once

#include <string>
#include <vector>

#include "billing/price_list.h"
#include "common/status.h"
#include "coordinator/billing/ledger.h"
#include "coordinator/billing/usage_repository.h"
#include "coordinator/clock.h"
#include "coordinator/storage/database.h"
#include "coordinator/tenants/caller.h"

namespace espalier::coordinator {

// What BillingService does, without gRPC. Reads are of the caller's tenant and see nothing of others; bookings of
// operators are in the audit log. Thread-safe. Errors and idempotency as billing.proto documents.
class BillingDesk {
 public:
  // `database` and `clock` must outlive the desk.
  BillingDesk(Database& database, const Clock& clock, billing::PriceList prices)
      : database_(database), clock_(clock), prices_(std::move(prices)) {}

  v1::Pricing pricing() const;
  Result<v1::Balance> balance(const std::string& tenant_id);
  Result<v1::ListLedgerTransactionsResponse> transactions(const std::string& tenant_id,
                                                          const v1::ListLedgerTransactionsRequest& request);
  Result<v1::ListUsageResponse> usage(const std::string& tenant_id, const v1::ListUsageRequest& request);
  Result<v1::Invoice> invoice(const std::string& tenant_id, const std::string& job_id);
  Result<v1::ListInvoicesResponse> invoices(const std::string& tenant_id, const v1::ListInvoicesRequest& request);
  // The next events of an export, oldest first, with a number above `after`; empty at its end.
  Result<std::vector<UsageRecord>> next_usage(const std::string& tenant_id, const v1::ExportUsageRequest& request,
                                              long long after);

  Result<v1::GrantCreditResponse> grant(const Caller& caller, const v1::GrantCreditRequest& request);
  Result<v1::AdjustCreditResponse> adjust(const Caller& caller, const v1::AdjustCreditRequest& request);
  Result<v1::ReverseTransactionResponse> reverse(const Caller& caller, const v1::ReverseTransactionRequest& request);
  Result<v1::VerifyLedgerResponse> verify();

 private:
  template <class Response, class Booking>
  Result<Response> book(const Caller& caller, const char* action, Booking booking);

  Database& database_;
  const Clock& clock_;
  const billing::PriceList prices_;
};

}  // namespace espalier::coordinator
