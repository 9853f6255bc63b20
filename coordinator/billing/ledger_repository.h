#pragma once

#include <optional>
#include <string>
#include <vector>

#include "billing/ledger.h"
#include "common/status.h"
#include "coordinator/jobs/job_repository.h"
#include "espalier/v1/billing.pb.h"

namespace soci {
class session;
}

namespace espalier::coordinator {

// One booked transaction.
struct LedgerRecord {
  long long number = 0;  // order of booking
  std::string tenant_id;
  billing::Transaction transaction;
  std::string request_id{};  // of an operator's booking
  std::string note{};
  long long time_us = 0;
};

v1::LedgerTransaction to_proto(const LedgerRecord& record);

// Transactions, postings and balances in the open transaction of `sql`. Rows are only ever added; the database itself
// refuses transactions that do not balance, a second one for the same part of a job, and changes.
class LedgerRepository {
 public:
  explicit LedgerRepository(soci::session& sql) : sql_(sql) {}

  // Stores it and brings the tenant's balances up to date. `number` is ignored. Errors as billing::after.
  Status insert(const LedgerRecord& record, bool post_paid);

  billing::Balances balances(const std::string& tenant_id);
  // What is held for a job now.
  int64_t held(const std::string& job_id);
  // Charged minus refunded since a time, of a tenant.
  int64_t charged_since(const std::string& tenant_id, long long since_us);

  Result<std::optional<LedgerRecord>> find(const std::string& transaction_id);
  Result<std::optional<LedgerRecord>> find_by_request(const std::string& tenant_id, const std::string& request_id);
  // Newest first. `job_id` empty: all.
  Result<std::vector<LedgerRecord>> list(const std::string& tenant_id, const std::string& job_id,
                                         const PageQuery& page);

 private:
  soci::session& sql_;
};

}  // namespace espalier::coordinator
