#include "coordinator/billing/ledger_repository.h"

#include <soci/soci.h>

#include "absl/strings/str_cat.h"
#include "coordinator/paging.h"
#include "coordinator/proto_json.h"

namespace espalier::coordinator {
namespace {

using billing::Account;
using billing::TransactionKind;
using soci::into;
using soci::use;

// The database and the API have the same numbers, which begin with UNSPECIFIED.
template <class Enum>
int number_of(Enum value) {
  return static_cast<int>(value) + 1;
}

struct LedgerRow {
  long long number = 0;
  std::string tenant_id, request_id, note;
  billing::StoredTransaction transaction;
  int kind = 0;
  long long time_us = 0;
};

std::vector<LedgerRow> select_rows(soci::session& sql, const std::string& condition,
                                   const std::vector<std::string>& texts) {
  LedgerRow row;
  billing::StoredTransaction& transaction = row.transaction;
  soci::statement statement(sql);
  for (long long* value : {&row.number, &row.time_us}) statement.exchange(into(*value));
  statement.exchange(into(row.kind));
  for (std::string* text : {&transaction.id, &transaction.job_id, &transaction.line, &transaction.reverses,
                            &row.tenant_id, &row.request_id, &row.note}) {
    statement.exchange(into(*text));
  }
  for (const std::string& text : texts) statement.exchange(use(text));
  statement.alloc();
  statement.prepare(
      absl::StrCat("SELECT number, time_us, kind, id, COALESCE(job_id, ''), line, reverses, tenant_id, "
                   "COALESCE(request_id, ''), note FROM ledger_transactions WHERE ",
                   condition));
  statement.define_and_bind();
  statement.execute();
  std::vector<LedgerRow> rows;
  while (statement.fetch()) rows.push_back(row);
  return rows;
}

std::vector<billing::Posting> postings_of(soci::session& sql, const std::string& transaction_id) {
  int account = 0;
  long long amount = 0;
  soci::statement statement = (sql.prepare << "SELECT account, amount_nanos FROM ledger_postings "
                                              "WHERE transaction_id = :id ORDER BY amount_nanos",
                               into(account), into(amount), use(transaction_id));
  statement.execute();
  std::vector<billing::Posting> postings;
  while (statement.fetch()) postings.push_back({static_cast<Account>(account - 1), amount});
  return postings;
}

Result<std::vector<LedgerRecord>> select_records(soci::session& sql, const std::string& condition,
                                                 const std::vector<std::string>& texts) {
  std::vector<LedgerRecord> records;
  for (LedgerRow& row : select_rows(sql, condition, texts)) {
    row.transaction.kind = static_cast<TransactionKind>(row.kind - 1);
    row.transaction.postings = postings_of(sql, row.transaction.id);
    ESP_ASSIGN(billing::Transaction transaction, billing::restore(row.transaction));
    records.push_back({.number = row.number,
                       .tenant_id = row.tenant_id,
                       .transaction = std::move(transaction),
                       .request_id = row.request_id,
                       .note = row.note,
                       .time_us = row.time_us});
  }
  return records;
}

Result<std::optional<LedgerRecord>> select_one(soci::session& sql, const std::string& condition,
                                               const std::vector<std::string>& texts) {
  ESP_ASSIGN(std::vector<LedgerRecord> records, select_records(sql, condition, texts));
  if (records.empty()) return std::optional<LedgerRecord>();
  return std::optional(std::move(records[0]));
}

void store_balances(soci::session& sql, const std::string& tenant_id, const billing::Balances& balances) {
  const long long available = balances.of(Account::kAvailable), held = balances.of(Account::kHeld),
                  revenue = balances.of(Account::kRevenue), grants = balances.of(Account::kGrants),
                  adjustments = balances.of(Account::kAdjustments);
  sql << "INSERT INTO ledger_balances (tenant_id, available, held, revenue, grants, adjustments) VALUES (:tenant, "
         ":available, :held, :revenue, :grants, :adjustments) ON CONFLICT (tenant_id) DO UPDATE SET available = "
         "excluded.available, held = excluded.held, revenue = excluded.revenue, grants = excluded.grants, "
         "adjustments = excluded.adjustments",
      use(tenant_id), use(available), use(held), use(revenue), use(grants), use(adjustments);
}

}  // namespace

v1::LedgerTransaction to_proto(const LedgerRecord& record) {
  const billing::Transaction& transaction = record.transaction;
  v1::LedgerTransaction out;
  out.set_transaction_id(transaction.id());
  out.set_kind(static_cast<v1::LedgerKind>(number_of(transaction.kind())));
  out.set_job_id(transaction.job_id());
  out.set_line(transaction.line());
  out.set_reverses(transaction.reverses());
  out.set_note(record.note);
  *out.mutable_time() = to_timestamp(record.time_us);
  for (const billing::Posting& posting : transaction.postings()) {
    v1::LedgerPosting* added = out.add_postings();
    added->set_account(static_cast<v1::LedgerAccount>(number_of(posting.account)));
    added->set_amount_nanos(posting.amount_nanos);
  }
  return out;
}

Status LedgerRepository::insert(const LedgerRecord& record, bool post_paid) {
  const billing::Transaction& transaction = record.transaction;
  ESP_ASSIGN(const billing::Balances next, billing::after(balances(record.tenant_id), transaction, post_paid));
  for (const billing::Posting& posting : transaction.postings()) {
    const int account = number_of(posting.account);
    const long long amount = posting.amount_nanos;
    sql_ << "INSERT INTO ledger_postings (transaction_id, account, amount_nanos) VALUES (:id, :account, :amount)",
        use(transaction.id()), use(account), use(amount);
  }
  const int kind = number_of(transaction.kind());
  sql_ << "INSERT INTO ledger_transactions (id, tenant_id, kind, job_id, line, request_id, reverses, note, time_us) "
          "VALUES (:id, :tenant, :kind, NULLIF(:job, ''), :line, NULLIF(:request, ''), :reverses, :note, :time)",
      use(transaction.id()), use(record.tenant_id), use(kind), use(transaction.job_id()), use(transaction.line()),
      use(record.request_id), use(transaction.reverses()), use(record.note), use(record.time_us);
  store_balances(sql_, record.tenant_id, next);
  return absl::OkStatus();
}

billing::Balances LedgerRepository::balances(const std::string& tenant_id) {
  long long nanos[billing::kAccounts.size()] = {};
  sql_ << "SELECT available, held, revenue, grants, adjustments FROM ledger_balances WHERE tenant_id = :tenant",
      into(nanos[0]), into(nanos[1]), into(nanos[2]), into(nanos[3]), into(nanos[4]), use(tenant_id);
  billing::Balances balances;
  for (const Account account : billing::kAccounts) balances.set(account, nanos[static_cast<size_t>(account)]);
  return balances;
}

int64_t LedgerRepository::held(const std::string& job_id) {
  long long nanos = 0;
  const int account = number_of(Account::kHeld);
  sql_ << "SELECT COALESCE(SUM(p.amount_nanos), 0) FROM ledger_transactions t JOIN ledger_postings p "
          "ON p.transaction_id = t.id WHERE t.job_id = :job AND p.account = :account",
      into(nanos), use(job_id), use(account);
  return nanos;
}

int64_t LedgerRepository::charged_since(const std::string& tenant_id, long long since_us) {
  long long nanos = 0;
  const int account = number_of(Account::kRevenue);
  sql_ << "SELECT COALESCE(SUM(p.amount_nanos), 0) FROM ledger_transactions t JOIN ledger_postings p "
          "ON p.transaction_id = t.id WHERE t.tenant_id = :tenant AND t.time_us >= :since AND p.account = :account",
      into(nanos), use(tenant_id), use(since_us), use(account);
  return nanos;
}

Result<std::optional<LedgerRecord>> LedgerRepository::find(const std::string& transaction_id) {
  return select_one(sql_, "id = :id", {transaction_id});
}

Result<std::optional<LedgerRecord>> LedgerRepository::find_by_request(const std::string& tenant_id,
                                                                      const std::string& request_id) {
  return select_one(sql_, "tenant_id = :tenant AND request_id = :request", {tenant_id, request_id});
}

Result<std::vector<LedgerRecord>> LedgerRepository::list(const std::string& tenant_id, const std::string& job_id,
                                                         const PageQuery& page) {
  std::string condition = "tenant_id = :tenant";
  std::vector<std::string> texts = {tenant_id};
  if (!job_id.empty()) {
    condition += " AND job_id = :job";
    texts.push_back(job_id);
  }
  return select_records(sql_, absl::StrCat(condition, page_clause(page)), texts);
}

}  // namespace espalier::coordinator
