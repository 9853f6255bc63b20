#pragma once

#include <string>

#include "billing/ledger.h"
#include "common/status.h"
#include "coordinator/billing/credit_terms.h"
#include "coordinator/jobs/records.h"
#include "espalier/v1/billing.pb.h"

namespace soci {
class session;
}

namespace espalier::coordinator {

// The money of jobs and tenants, in the open transaction of `sql`: what it books commits, or is lost, together with the
// change of state that it belongs to. Make one per transaction. Database errors are exceptions that
// Database::transaction turns into a Status.
//
// Errors of everything that takes credit: RESOURCE_EXHAUSTED with reason INSUFFICIENT_CREDIT (more than is available,
// of a tenant that is not post-paid) or DAILY_SPEND_LIMIT; the message names the needed and the available amount.
class Ledger {
 public:
  Ledger(soci::session& sql, long long now_us) : sql_(sql), now_us_(now_us) {}

  // A new job: holds the price of all its denoisers and of preparing the objects that it expects, or as many as the
  // price list assumes. `reused`: it prepares nothing.
  Status submitted(const JobRecord& job, bool reused);
  // Whether submitted() would succeed now; books nothing.
  Status admits(const JobRecord& job, bool reused);
  // The number of objects is known: the hold becomes the exact price of the whole job.
  Status prepared(const JobRecord& job, int64_t objects, bool reused);
  // The job has ended with job.cost: a capture and a usage event for each line, the rest of the hold is released.
  Status ended(const JobRecord& job);

  // An operator's booking, once per request id: a repeat with equal content gives the first one.
  struct Booked {
    v1::LedgerTransaction transaction;
    std::string tenant_id;
    bool duplicate = false;
  };
  // Errors as BillingService documents.
  Result<Booked> grant(const v1::GrantCreditRequest& request);
  Result<Booked> adjust(const v1::AdjustCreditRequest& request);
  Result<Booked> reverse(const v1::ReverseTransactionRequest& request);

  Result<v1::Balance> balance(const std::string& tenant_id);

 private:
  // What an operator says about a booking.
  struct Order {
    std::string request_id;
    std::string note;
  };
  void record_usage(const JobRecord& job);
  Status book(const std::string& tenant_id, const billing::Transaction& transaction, bool post_paid);
  Status check_credit(const std::string& tenant_id, const billing::Transaction& hold, const CreditTerms& terms);
  Status take(const std::string& tenant_id, const billing::Transaction& transaction);
  Result<Booked> book_once(const std::string& tenant_id, const billing::Transaction& transaction, const Order& order);
  int64_t spent_today(const std::string& tenant_id);

  soci::session& sql_;
  const long long now_us_;
};

}  // namespace espalier::coordinator
