#include "coordinator/billing/ledger_check.h"

#include <soci/soci.h>

#include "absl/strings/str_cat.h"
#include "billing/ledger.h"
#include "espalier/v1/jobs.pb.h"

namespace espalier::coordinator {
namespace {

using soci::into;

constexpr int kMaxFaults = 100;

const std::string kHeld = absl::StrCat(static_cast<int>(v1::LEDGER_ACCOUNT_HELD));
const std::string kEnded = absl::StrCat(
    "(", static_cast<int>(v1::JOB_STATE_SUCCEEDED), ", ", static_cast<int>(v1::JOB_STATE_PARTIALLY_SUCCEEDED), ", ",
    static_cast<int>(v1::JOB_STATE_FAILED), ", ", static_cast<int>(v1::JOB_STATE_CANCELLED), ")");

// Each query below gives one row for each fault: tenant, subject, and two amounts that should be equal.
class Checks {
 public:
  explicit Checks(soci::session& sql) : sql_(sql) {}

  void run(const char* account, const char* what, const std::string& query) {
    std::string tenant, subject;
    long long found = 0, expected = 0;
    soci::statement statement = (sql_.prepare << query, into(tenant), into(subject), into(found), into(expected));
    statement.execute();
    while (statement.fetch() && report_.faults_size() < kMaxFaults) {
      v1::LedgerFault* fault = report_.add_faults();
      fault->set_tenant_id(tenant);
      fault->set_account(account);
      fault->set_subject(subject);
      fault->set_description(absl::StrCat(what, ": ", found, " nanos, expected ", expected));
    }
  }

  int64_t count(const char* query) {
    long long rows = 0;
    sql_ << query, into(rows);
    return rows;
  }

  v1::VerifyLedgerResponse& report() { return report_; }

 private:
  soci::session& sql_;
  v1::VerifyLedgerResponse report_;
};

void check_transactions(Checks& checks) {
  checks.run("", "the sum of a transaction's postings",
             "SELECT t.tenant_id, t.id, COALESCE(SUM(p.amount_nanos), 0), 0 FROM ledger_transactions t LEFT JOIN "
             "ledger_postings p ON p.transaction_id = t.id GROUP BY t.id "
             "HAVING COUNT(p.amount_nanos) < 2 OR SUM(p.amount_nanos) <> 0");
  checks.run("", "a posting without its transaction",
             "SELECT '', p.transaction_id, p.amount_nanos, 0 FROM ledger_postings p LEFT JOIN ledger_transactions t "
             "ON t.id = p.transaction_id WHERE t.id IS NULL");
}

void check_balances(Checks& checks) {
  for (const billing::Account account : billing::kAccounts) {
    const std::string name = to_string(account);
    // A tenant with postings has a balance and the other way round, so the outer joins go both ways.
    const std::string derived =
        absl::StrCat("(SELECT t.tenant_id, SUM(CASE p.account WHEN ", static_cast<int>(account) + 1,
                     " THEN p.amount_nanos ELSE 0 END) AS nanos FROM ledger_transactions t JOIN ledger_postings p ON "
                     "p.transaction_id = t.id GROUP BY t.tenant_id)");
    checks.run(name.c_str(), "the stored balance",
               absl::StrCat("SELECT b.tenant_id, '', b.", name,
                            ", COALESCE(d.nanos, 0) FROM ledger_balances b LEFT "
                            "JOIN ",
                            derived, " d ON d.tenant_id = b.tenant_id WHERE b.", name,
                            " <> COALESCE(d.nanos, 0) UNION ALL SELECT d.tenant_id, '', 0, d.nanos FROM ", derived,
                            " d LEFT JOIN ledger_balances b ON b.tenant_id = d.tenant_id WHERE b.tenant_id IS NULL "
                            "AND d.nanos <> 0"));
  }
}

void check_holds(Checks& checks) {
  checks.run("held", "credit held for a job that has ended, or below zero",
             absl::StrCat("SELECT h.tenant_id, h.job_id, h.nanos, 0 FROM (SELECT t.tenant_id, t.job_id, "
                          "SUM(p.amount_nanos) AS nanos FROM ledger_transactions t JOIN ledger_postings p ON "
                          "p.transaction_id = t.id WHERE t.job_id IS NOT NULL AND p.account = ",
                          kHeld,
                          " GROUP BY t.job_id) h LEFT JOIN jobs j ON j.id = h.job_id WHERE h.nanos < 0 OR "
                          "(h.nanos <> 0 AND (j.id IS NULL OR j.state IN ",
                          kEnded, "))"));
}

// Only jobs with a transaction: those from before the ledger have none.
void check_charges(Checks& checks) {
  const std::string captured =
      absl::StrCat("(SELECT t.tenant_id, t.job_id, SUM(CASE WHEN t.kind = ", static_cast<int>(v1::LEDGER_KIND_CAPTURE),
                   " AND p.account = ", static_cast<int>(v1::LEDGER_ACCOUNT_REVENUE),
                   " THEN p.amount_nanos ELSE 0 END) AS nanos FROM ledger_transactions t JOIN ledger_postings p ON "
                   "p.transaction_id = t.id WHERE t.job_id IS NOT NULL GROUP BY t.job_id)");
  const std::string used = "(SELECT tenant_id, job_id, SUM(amount_nanos) AS nanos FROM usage_events GROUP BY job_id)";
  checks.run("revenue", "charged for a job, against its usage",
             absl::StrCat("SELECT c.tenant_id, c.job_id, c.nanos, COALESCE(u.nanos, 0) FROM ", captured,
                          " c LEFT JOIN ", used, " u ON u.job_id = c.job_id WHERE c.nanos <> COALESCE(u.nanos, 0)"));
  checks.run("revenue", "usage of a job that was not charged",
             absl::StrCat("SELECT u.tenant_id, u.job_id, 0, u.nanos FROM ", used, " u LEFT JOIN ", captured,
                          " c ON c.job_id = u.job_id WHERE c.job_id IS NULL AND u.nanos <> 0"));
  const std::string cost =
      "CASE j.cost_json WHEN '' THEN 0 ELSE "
      "COALESCE(CAST(json_extract(j.cost_json, '$.total_nanos') AS INTEGER), 0) END";
  checks.run("revenue", "charged for a job, against the cost that it tells",
             absl::StrCat("SELECT c.tenant_id, c.job_id, c.nanos, ", cost, " FROM ", captured,
                          " c JOIN jobs j ON j.id = c.job_id WHERE c.nanos <> ", cost));
}

}  // namespace

v1::VerifyLedgerResponse check_ledger(soci::session& sql) {
  Checks checks(sql);
  check_transactions(checks);
  check_balances(checks);
  check_holds(checks);
  check_charges(checks);
  v1::VerifyLedgerResponse& report = checks.report();
  report.set_tenants(checks.count("SELECT COUNT(*) FROM ledger_balances"));
  report.set_transactions(checks.count("SELECT COUNT(*) FROM ledger_transactions"));
  report.set_postings(checks.count("SELECT COUNT(*) FROM ledger_postings"));
  return report;
}

}  // namespace espalier::coordinator
