#include "coordinator/billing/usage_repository.h"

#include <soci/soci.h>

#include "absl/strings/str_cat.h"
#include "coordinator/paging.h"
#include "coordinator/proto_json.h"

namespace espalier::coordinator {
namespace {

using soci::into;
using soci::use;

// The rows of `FROM usage_events e …`.
std::vector<UsageRecord> select_usage(soci::session& sql, const std::string& source,
                                      const std::vector<std::string>& texts) {
  long long number = 0, time_us = 0, quantity = 0, unit = 0, numerator = 0, denominator = 0, amount = 0;
  int kind = 0, denoiser = 0;
  std::string id, tenant_id, job_id, price_version;
  soci::statement statement(sql);
  for (std::string* text : {&id, &tenant_id, &job_id, &price_version}) statement.exchange(into(*text));
  for (int* value : {&kind, &denoiser}) statement.exchange(into(*value));
  for (long long* value : {&number, &time_us, &quantity, &unit, &numerator, &denominator, &amount}) {
    statement.exchange(into(*value));
  }
  for (const std::string& text : texts) statement.exchange(use(text));
  statement.alloc();
  statement.prepare(
      absl::StrCat("SELECT e.id, e.tenant_id, e.job_id, e.price_version, e.kind, e.denoiser, e.number, "
                   "e.time_us, e.quantity, e.unit_nanos, e.multiplier_numerator, "
                   "e.multiplier_denominator, e.amount_nanos FROM usage_events e ",
                   source));
  statement.define_and_bind();
  statement.execute();
  std::vector<UsageRecord> records;
  while (statement.fetch()) {
    UsageRecord& record = records.emplace_back();
    record.number = number;
    record.event.set_event_id(id);
    record.event.set_tenant_id(tenant_id);
    record.event.set_job_id(job_id);
    record.event.set_price_version(price_version);
    *record.event.mutable_time() = to_timestamp(time_us);
    v1::CostLine* line = record.event.mutable_line();
    line->set_kind(static_cast<v1::CostKind>(kind));
    line->set_denoiser(static_cast<v1::Denoiser>(denoiser));
    line->set_quantity(quantity);
    line->set_unit_nanos(unit);
    line->set_multiplier_numerator(numerator);
    line->set_multiplier_denominator(denominator);
    line->set_amount_nanos(amount);
  }
  return records;
}

// Of numbers only: nothing to escape.
std::string within(const TimeSpan& time) {
  return absl::StrCat(" AND e.time_us >= ", time.since_us, " AND e.time_us < ", time.until_us);
}

// What flowed out of revenue for one job, or (`jobs` a sub-select) several.
std::string refunds_of(const std::string& jobs) {
  return absl::StrCat(
      "SELECT COALESCE(-SUM(p.amount_nanos), 0) FROM ledger_transactions t JOIN ledger_postings p ON "
      "p.transaction_id = t.id WHERE t.kind = ",
      static_cast<int>(v1::LEDGER_KIND_REVERSAL), " AND p.account = ", static_cast<int>(v1::LEDGER_ACCOUNT_REVENUE),
      " AND t.job_id IN (", jobs, ")");
}

}  // namespace

void UsageRepository::insert(const v1::UsageEvent& event) {
  const v1::CostLine& line = event.line();
  const int kind = line.kind(), denoiser = line.denoiser();
  const long long quantity = line.quantity(), unit = line.unit_nanos(), numerator = line.multiplier_numerator(),
                  denominator = line.multiplier_denominator(), amount = line.amount_nanos(),
                  time_us = to_micros(event.time());
  sql_ << "INSERT INTO usage_events (id, tenant_id, job_id, kind, denoiser, quantity, unit_nanos, "
          "multiplier_numerator, multiplier_denominator, amount_nanos, price_version, time_us) VALUES (:id, :tenant, "
          ":job, :kind, :denoiser, :quantity, :unit, :numerator, :denominator, :amount, :version, :time)",
      use(event.event_id()), use(event.tenant_id()), use(event.job_id()), use(kind), use(denoiser), use(quantity),
      use(unit), use(numerator), use(denominator), use(amount), use(event.price_version()), use(time_us);
  sql_ << "INSERT INTO usage_outbox (event_number) SELECT number FROM usage_events WHERE id = :id",
      use(event.event_id());
}

std::vector<UsageRecord> UsageRepository::list(const std::string& tenant_id, const PageQuery& page) {
  return select_usage(sql_, absl::StrCat("WHERE e.tenant_id = :tenant", page_clause(page)), {tenant_id});
}

std::vector<UsageRecord> UsageRepository::span(const std::string& tenant_id, const TimeSpan& time, long long after,
                                               int limit) {
  return select_usage(sql_,
                      absl::StrCat("WHERE e.tenant_id = :tenant", within(time), " AND e.number > ", after,
                                   " ORDER BY e.number LIMIT ", limit),
                      {tenant_id});
}

v1::Invoice UsageRepository::invoice(const std::string& job_id) {
  v1::Invoice invoice;
  invoice.set_job_id(job_id);
  v1::Cost& cost = *invoice.mutable_cost();
  for (const UsageRecord& record : select_usage(sql_, "WHERE e.job_id = :job ORDER BY e.number", {job_id})) {
    invoice.set_tenant_id(record.event.tenant_id());
    *invoice.mutable_time() = record.event.time();
    cost.set_price_version(record.event.price_version());
    cost.set_total_nanos(cost.total_nanos() + record.event.line().amount_nanos());
    *cost.add_lines() = record.event.line();
  }
  long long refunded = 0;
  sql_ << refunds_of(":job"), into(refunded), use(job_id);
  invoice.set_refunded_nanos(refunded);
  return invoice;
}

std::vector<InvoiceRecord> UsageRepository::invoices(const std::string& tenant_id, const TimeSpan& time,
                                                     const PageQuery& page) {
  std::string job_id;
  long long number = 0;
  const std::string before = page.before_number > 0 ? absl::StrCat(" HAVING MIN(e.number) < ", page.before_number) : "";
  soci::statement statement =
      (sql_.prepare << "SELECT e.job_id, MIN(e.number) AS first FROM usage_events e WHERE e.tenant_id = :tenant"
                    << within(time) << " GROUP BY e.job_id" << before << " ORDER BY first DESC LIMIT " << page.size,
       into(job_id), into(number), use(tenant_id));
  statement.execute();
  std::vector<InvoiceRecord> records;
  while (statement.fetch()) {
    records.emplace_back().number = number;
    records.back().invoice.set_job_id(job_id);
  }
  for (InvoiceRecord& record : records) record.invoice = invoice(record.invoice.job_id());
  return records;
}

UsageRepository::Total UsageRepository::total(const std::string& tenant_id, const TimeSpan& time) {
  long long charged = 0, refunded = 0;
  const std::string events = absl::StrCat("FROM usage_events e WHERE e.tenant_id = :tenant", within(time));
  sql_ << "SELECT COALESCE(SUM(e.amount_nanos), 0) " << events, into(charged), use(tenant_id);
  sql_ << refunds_of(absl::StrCat("SELECT e.job_id ", events)), into(refunded), use(tenant_id);
  return {charged, refunded};
}

std::vector<UsageRecord> UsageRepository::unexported(int limit) {
  return select_usage(
      sql_, absl::StrCat("JOIN usage_outbox o ON o.event_number = e.number ORDER BY e.number LIMIT ", limit), {});
}

void UsageRepository::mark_exported(const std::vector<UsageRecord>& events) {
  long long number = 0;
  soci::statement statement = (sql_.prepare << "DELETE FROM usage_outbox WHERE event_number = :number", use(number));
  for (const UsageRecord& record : events) {
    number = record.number;
    statement.execute(true);
  }
}

}  // namespace espalier::coordinator
