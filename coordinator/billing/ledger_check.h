#pragma once

#include "espalier/v1/billing.pb.h"

namespace soci {
class session;
}

namespace espalier::coordinator {

// Proves the books from their rows, in the open transaction of `sql`; changes nothing:
//   every transaction has at least two postings and they sum to zero, and no posting is without its transaction;
//   every stored balance is the sum of the tenant's postings on that account;
//   no job holds less than nothing, and one that has ended holds nothing;
//   what was captured from a job, its usage, and the cost that the job itself tells are equal.
v1::VerifyLedgerResponse check_ledger(soci::session& sql);

}  // namespace espalier::coordinator
