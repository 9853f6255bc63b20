#include "coordinator/billing/billing_desk.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "coordinator/billing/job_price.h"
#include "coordinator/billing/ledger_check.h"
#include "coordinator/billing/ledger_repository.h"
#include "coordinator/jobs/job_repository.h"
#include "coordinator/jobs/job_state.h"
#include "coordinator/jobs/job_validator.h"
#include "coordinator/paging.h"
#include "coordinator/proto_json.h"
#include "coordinator/tenants/audit_log.h"
#include "rpc/status.h"

namespace espalier::coordinator {
namespace {

constexpr int64_t kMostNanos = 1'000'000'000'000'000;  // a million dollars
constexpr size_t kMostNote = 200;
constexpr int kUsageAtOnce = 500;

long long month_start_us(std::chrono::year_month month) {
  return std::chrono::microseconds(std::chrono::sys_days(month / 1).time_since_epoch()).count();
}

// "2026-11"; empty: all time.
std::optional<TimeSpan> parse_month(const std::string& text) {
  if (text.empty()) return TimeSpan();
  int year = 0, month = 0;
  if (text.size() != 7 || text[4] != '-' || !absl::SimpleAtoi(text.substr(0, 4), &year) ||
      !absl::SimpleAtoi(text.substr(5), &month)) {
    return std::nullopt;
  }
  const std::chrono::year_month parsed{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month))};
  if (!parsed.ok() || year < 1970) return std::nullopt;
  return TimeSpan{month_start_us(parsed), month_start_us(parsed + std::chrono::months(1))};
}

std::vector<FieldFault> check_booking(const std::string& request_id, const std::string& note, bool note_required) {
  std::vector<FieldFault> faults;
  if (!is_request_id(request_id)) {
    faults.push_back({"request_id", "must be 8 to 64 characters of letters, digits, '-' and '_'"});
  }
  if (note.size() > kMostNote) faults.push_back({"note", absl::StrCat("is longer than ", kMostNote, " bytes")});
  if (note_required && note.empty()) faults.push_back({"note", "must say why"});
  return faults;
}

void check_amount(int64_t nanos, int64_t least, std::vector<FieldFault>& faults) {
  if (nanos != 0 && nanos >= least && nanos <= kMostNanos) return;
  faults.push_back(
      {"amount_nanos", absl::StrCat(nanos, " is not in ", least, " to ", kMostNanos, least < 0 ? ", without 0" : "")});
}

}  // namespace

v1::Pricing BillingDesk::pricing() const { return to_proto(prices_); }

Result<v1::Balance> BillingDesk::balance(const std::string& tenant_id) {
  return database_.transaction([&](soci::session& sql) { return Ledger(sql, clock_.now_us()).balance(tenant_id); });
}

Result<v1::ListLedgerTransactionsResponse> BillingDesk::transactions(const std::string& tenant_id,
                                                                     const v1::ListLedgerTransactionsRequest& request) {
  const std::string scope = absl::StrCat("ledger ", tenant_id, " ", request.job_id());
  ESP_ASSIGN(PageQuery page, parse_page(request.page(), scope));
  const int wanted = page.size++;
  return database_.transaction([&](soci::session& sql) -> Result<v1::ListLedgerTransactionsResponse> {
    ESP_ASSIGN(const auto rows, LedgerRepository(sql).list(tenant_id, request.job_id(), page));
    v1::ListLedgerTransactionsResponse response;
    response.set_next_page_token(fill_page(rows, wanted, scope, response.mutable_transactions(),
                                           [](const LedgerRecord& row) { return to_proto(row); }));
    return response;
  });
}

Result<v1::ListUsageResponse> BillingDesk::usage(const std::string& tenant_id, const v1::ListUsageRequest& request) {
  const std::string scope = absl::StrCat("usage ", tenant_id);
  ESP_ASSIGN(PageQuery page, parse_page(request.page(), scope));
  const int wanted = page.size++;
  return database_.transaction([&](soci::session& sql) -> Result<v1::ListUsageResponse> {
    v1::ListUsageResponse response;
    response.set_next_page_token(fill_page(UsageRepository(sql).list(tenant_id, page), wanted, scope,
                                           response.mutable_events(),
                                           [](const UsageRecord& row) { return row.event; }));
    return response;
  });
}

Result<v1::Invoice> BillingDesk::invoice(const std::string& tenant_id, const std::string& job_id) {
  return database_.transaction([&](soci::session& sql) -> Result<v1::Invoice> {
    ESP_ASSIGN(const JobRecord job, JobRepository(sql).find(job_id, ""));  // a deleted one's invoice stays
    if (job.tenant_id != tenant_id) return absl::NotFoundError(absl::StrCat("no job ", job_id));
    if (!is_final(job.state)) {
      return absl::FailedPreconditionError(absl::StrCat("job ", job_id, " has not ended: there is no invoice yet"));
    }
    v1::Invoice invoice = UsageRepository(sql).invoice(job_id);
    invoice.set_tenant_id(tenant_id);
    *invoice.mutable_time() = to_timestamp(job.end_us);
    invoice.mutable_cost()->set_price_version(job.prices.version);
    return invoice;
  });
}

Result<v1::ListInvoicesResponse> BillingDesk::invoices(const std::string& tenant_id,
                                                       const v1::ListInvoicesRequest& request) {
  const std::string scope = absl::StrCat("invoices ", tenant_id, " ", request.month());
  ESP_ASSIGN(PageQuery page, parse_page(request.page(), scope));
  const auto time = parse_month(request.month());
  if (!time) return invalid_fields({{"month", absl::StrCat(request.month(), " is not a month such as 2026-11")}});
  const int wanted = page.size++;
  return database_.transaction([&](soci::session& sql) -> Result<v1::ListInvoicesResponse> {
    UsageRepository usage(sql);
    v1::ListInvoicesResponse response;
    response.set_next_page_token(fill_page(usage.invoices(tenant_id, *time, page), wanted, scope,
                                           response.mutable_invoices(),
                                           [](const InvoiceRecord& row) { return row.invoice; }));
    const UsageRepository::Total total = usage.total(tenant_id, *time);
    response.set_total_nanos(total.charged_nanos);
    response.set_refunded_nanos(total.refunded_nanos);
    return response;
  });
}

Result<std::vector<UsageRecord>> BillingDesk::next_usage(const std::string& tenant_id,
                                                         const v1::ExportUsageRequest& request, long long after) {
  TimeSpan time;
  if (request.has_start_time()) time.since_us = to_micros(request.start_time());
  if (request.has_end_time()) time.until_us = to_micros(request.end_time());
  if (time.since_us > time.until_us) return invalid_fields({{"end_time", "is before start_time"}});
  return database_.transaction([&](soci::session& sql) -> Result<std::vector<UsageRecord>> {
    return UsageRepository(sql).span(tenant_id, time, after, kUsageAtOnce);
  });
}

// Books, tells the audit log, and answers with the balance afterwards, in one transaction.
template <class Response, class Booking>
Result<Response> BillingDesk::book(const Caller& caller, const char* action, Booking booking) {
  const long long now_us = clock_.now_us();
  return database_.transaction([&](soci::session& sql) -> Result<Response> {
    Ledger ledger(sql, now_us);
    ESP_ASSIGN(const Ledger::Booked booked, booking(ledger));
    if (!booked.duplicate) {
      const nlohmann::json details = {{"nanos", booked.transaction.postings(1).amount_nanos()},
                                      {"reverses", booked.transaction.reverses()},
                                      {"note", booked.transaction.note()}};
      AuditLog(sql).append({.principal = caller.principal,
                            .tenant_id = booked.tenant_id,
                            .action = action,
                            .target = booked.transaction.transaction_id(),
                            .details_json = details.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)},
                           now_us);
    }
    Response response;
    *response.mutable_transaction() = booked.transaction;
    ESP_ASSIGN(*response.mutable_balance(), ledger.balance(booked.tenant_id));
    response.set_duplicate(booked.duplicate);
    return response;
  });
}

Result<v1::GrantCreditResponse> BillingDesk::grant(const Caller& caller, const v1::GrantCreditRequest& request) {
  std::vector<FieldFault> faults = check_booking(request.request_id(), request.note(), /*note_required=*/false);
  check_amount(request.amount_nanos(), 1, faults);
  ESP_TRY(invalid_fields(faults));
  return book<v1::GrantCreditResponse>(caller, "credit.grant", [&](Ledger& ledger) { return ledger.grant(request); });
}

Result<v1::AdjustCreditResponse> BillingDesk::adjust(const Caller& caller, const v1::AdjustCreditRequest& request) {
  std::vector<FieldFault> faults = check_booking(request.request_id(), request.note(), /*note_required=*/true);
  check_amount(request.amount_nanos(), -kMostNanos, faults);
  ESP_TRY(invalid_fields(faults));
  return book<v1::AdjustCreditResponse>(caller, "credit.adjust",
                                        [&](Ledger& ledger) { return ledger.adjust(request); });
}

Result<v1::ReverseTransactionResponse> BillingDesk::reverse(const Caller& caller,
                                                            const v1::ReverseTransactionRequest& request) {
  ESP_TRY(invalid_fields(check_booking(request.request_id(), request.note(), /*note_required=*/true)));
  return book<v1::ReverseTransactionResponse>(caller, "credit.reverse",
                                              [&](Ledger& ledger) { return ledger.reverse(request); });
}

Result<v1::VerifyLedgerResponse> BillingDesk::verify() {
  return database_.transaction(
      [](soci::session& sql) -> Result<v1::VerifyLedgerResponse> { return check_ledger(sql); });
}

}  // namespace espalier::coordinator
