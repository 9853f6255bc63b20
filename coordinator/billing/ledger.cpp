#include "coordinator/billing/ledger.h"

#include "absl/strings/str_cat.h"
#include "billing/name_uuid.h"
#include "coordinator/billing/job_price.h"
#include "coordinator/billing/ledger_repository.h"
#include "coordinator/billing/usage_repository.h"
#include "coordinator/proto_json.h"
#include "coordinator/tenants/tenant_repository.h"
#include "rpc/status.h"

namespace espalier::coordinator {
namespace {

constexpr long long kDayUs = 86'400'000'000;

Status insufficient(const Status& status) {
  return absl::IsResourceExhausted(status) ? with_reason(status, "INSUFFICIENT_CREDIT") : status;
}

// Nothing when the whole job is free.
Result<std::optional<billing::Transaction>> first_hold(const JobRecord& job, bool reused) {
  const int64_t objects = job.expected_objects > 0 ? job.expected_objects : job.prices.assumed_objects;
  ESP_ASSIGN(const v1::Cost price, job_price(job.prices, job.spec, objects, reused));
  return billing::resized_hold(job.id, "submit", /*held=*/0, price.total_nanos());
}

Status idempotency_conflict(const std::string& request_id, const std::string& transaction_id) {
  return with_reason(absl::AlreadyExistsError(
                         absl::StrCat("request_id: ", request_id, " was used for another booking, ", transaction_id)),
                     "IDEMPOTENCY_CONFLICT");
}

}  // namespace

Status Ledger::submitted(const JobRecord& job, bool reused) {
  ESP_ASSIGN(const auto hold, first_hold(job, reused));
  return hold ? take(job.tenant_id, *hold) : absl::OkStatus();
}

Status Ledger::admits(const JobRecord& job, bool reused) {
  ESP_ASSIGN(const auto hold, first_hold(job, reused));
  if (!hold) return absl::OkStatus();
  ESP_ASSIGN(const CreditTerms terms, credit_terms(sql_, job.tenant_id));
  return check_credit(job.tenant_id, *hold, terms);
}

Status Ledger::prepared(const JobRecord& job, int64_t objects, bool reused) {
  ESP_ASSIGN(const v1::Cost price, job_price(job.prices, job.spec, objects, reused));
  const int64_t held = LedgerRepository(sql_).held(job.id);
  ESP_ASSIGN(const auto change, billing::resized_hold(job.id, "prepared", held, price.total_nanos()));
  return change ? take(job.tenant_id, *change) : absl::OkStatus();
}

Status Ledger::ended(const JobRecord& job) {
  const int64_t total = job.cost.total_nanos();
  int64_t held = LedgerRepository(sql_).held(job.id);
  if (held < total) {  // only of a job that is older than the ledger: nothing was held then
    ESP_ASSIGN(const auto missing, billing::hold(job.id, "end", total - held));
    ESP_TRY(book(job.tenant_id, missing, /*post_paid=*/true));
    held = total;
  }
  std::vector<billing::Line> lines;
  for (const v1::CostLine& line : job.cost.lines()) lines.push_back(from_proto(line));
  ESP_ASSIGN(const auto transactions, billing::settlement(job.id, held, lines));
  for (const billing::Transaction& transaction : transactions) {
    ESP_TRY(book(job.tenant_id, transaction, /*post_paid=*/true));  // takes from what is held only
  }
  record_usage(job);
  return absl::OkStatus();
}

void Ledger::record_usage(const JobRecord& job) {
  v1::UsageEvent event;
  event.set_tenant_id(job.tenant_id);
  event.set_job_id(job.id);
  *event.mutable_time() = to_timestamp(now_us_);
  event.set_price_version(job.cost.price_version());
  for (const v1::CostLine& line : job.cost.lines()) {
    event.set_event_id(billing::name_uuid(job.id, billing::line_name(from_proto(line))));
    *event.mutable_line() = line;
    UsageRepository(sql_).insert(event);
  }
}

Status Ledger::book(const std::string& tenant_id, const billing::Transaction& transaction, bool post_paid) {
  const LedgerRecord record{.tenant_id = tenant_id, .transaction = transaction, .time_us = now_us_};
  return LedgerRepository(sql_).insert(record, post_paid);
}

int64_t Ledger::spent_today(const std::string& tenant_id) {
  LedgerRepository ledger(sql_);
  const int64_t held = ledger.balances(tenant_id).of(billing::Account::kHeld);
  return ledger.charged_since(tenant_id, now_us_ - now_us_ % kDayUs) + held;
}

Status Ledger::check_credit(const std::string& tenant_id, const billing::Transaction& hold, const CreditTerms& terms) {
  const auto next = billing::after(LedgerRepository(sql_).balances(tenant_id), hold, terms.post_paid);
  if (!next.ok()) return insufficient(next.status());
  if (terms.daily_spend_nanos == 0) return absl::OkStatus();
  const int64_t left = terms.daily_spend_nanos - spent_today(tenant_id);
  if (hold.amount_nanos() <= left) return absl::OkStatus();
  return with_reason(absl::ResourceExhaustedError(absl::StrCat(
                         "daily spend: ", billing::dollars_precise(hold.amount_nanos()), " is needed (",
                         hold.amount_nanos(), " nanos), ", billing::dollars_precise(left), " is left of today's ",
                         billing::dollars_precise(terms.daily_spend_nanos), " (", left, " nanos)")),
                     "DAILY_SPEND_LIMIT");
}

Status Ledger::take(const std::string& tenant_id, const billing::Transaction& transaction) {
  ESP_ASSIGN(const CreditTerms terms, credit_terms(sql_, tenant_id));
  if (transaction.kind() == billing::TransactionKind::kHold) {
    ESP_TRY(check_credit(tenant_id, transaction, terms));
  }
  return book(tenant_id, transaction, terms.post_paid);
}

Result<Ledger::Booked> Ledger::book_once(const std::string& tenant_id, const billing::Transaction& transaction,
                                         const Order& order) {
  LedgerRepository ledger(sql_);
  ESP_ASSIGN(const auto earlier, ledger.find_by_request(tenant_id, order.request_id));
  if (earlier) {
    const billing::Transaction& first = earlier->transaction;
    if (first.id() != transaction.id() || first.postings() != transaction.postings() || earlier->note != order.note) {
      return idempotency_conflict(order.request_id, first.id());
    }
    return Booked{.transaction = to_proto(*earlier), .tenant_id = tenant_id, .duplicate = true};
  }
  ESP_ASSIGN(const CreditTerms terms, credit_terms(sql_, tenant_id));
  const LedgerRecord record{.tenant_id = tenant_id,
                            .transaction = transaction,
                            .request_id = order.request_id,
                            .note = order.note,
                            .time_us = now_us_};
  ESP_TRY(insufficient(ledger.insert(record, terms.post_paid)));
  return Booked{.transaction = to_proto(record), .tenant_id = tenant_id};
}

Result<Ledger::Booked> Ledger::grant(const v1::GrantCreditRequest& request) {
  ESP_TRY(TenantRepository(sql_).find(request.tenant_id()).status());
  ESP_ASSIGN(const auto transaction, billing::grant(request.tenant_id(), request.request_id(), request.amount_nanos()));
  return book_once(request.tenant_id(), transaction, {request.request_id(), request.note()});
}

Result<Ledger::Booked> Ledger::adjust(const v1::AdjustCreditRequest& request) {
  ESP_TRY(TenantRepository(sql_).find(request.tenant_id()).status());
  ESP_ASSIGN(const auto transaction,
             billing::adjustment(request.tenant_id(), request.request_id(), request.amount_nanos()));
  return book_once(request.tenant_id(), transaction, {request.request_id(), request.note()});
}

Result<Ledger::Booked> Ledger::reverse(const v1::ReverseTransactionRequest& request) {
  LedgerRepository ledger(sql_);
  ESP_ASSIGN(const auto original, ledger.find(request.transaction_id()));
  if (!original) return absl::NotFoundError(absl::StrCat("no transaction ", request.transaction_id()));
  ESP_ASSIGN(const auto transaction, billing::reversal(original->transaction));
  ESP_ASSIGN(const auto reversed, ledger.find(transaction.id()));
  if (reversed && reversed->request_id != request.request_id()) {
    return absl::FailedPreconditionError(
        absl::StrCat("transaction ", request.transaction_id(), " was reversed before, by ", transaction.id()));
  }
  return book_once(original->tenant_id, transaction, {request.request_id(), request.note()});
}

Result<v1::Balance> Ledger::balance(const std::string& tenant_id) {
  ESP_ASSIGN(const CreditTerms terms, credit_terms(sql_, tenant_id));
  const billing::Balances balances = LedgerRepository(sql_).balances(tenant_id);
  v1::Balance out;
  out.set_tenant_id(tenant_id);
  out.set_available_nanos(balances.of(billing::Account::kAvailable));
  out.set_held_nanos(balances.of(billing::Account::kHeld));
  out.set_revenue_nanos(balances.of(billing::Account::kRevenue));
  out.set_granted_nanos(-balances.of(billing::Account::kGrants));
  out.set_adjusted_nanos(-balances.of(billing::Account::kAdjustments));
  out.set_post_paid(terms.post_paid);
  out.set_daily_spend_nanos(terms.daily_spend_nanos);
  out.set_spent_today_nanos(spent_today(tenant_id));
  return out;
}

}  // namespace espalier::coordinator
