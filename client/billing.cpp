#include <google/protobuf/util/time_util.h>
#include <grpcpp/grpcpp.h>

#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "billing/price_list.h"
#include "cli/app.h"
#include "client/admin/subjects.h"
#include "client/call.h"
#include "client/job_view.h"
#include "espalier/v1/billing.grpc.pb.h"

namespace espalier::client {
namespace {

using Billing = v1::BillingService::Stub;
using billing::dollars;
using billing::dollars_precise;

struct ListOptions {
  std::string filter;  // month, or job
  int limit = 50;
};

struct UsageOptions {
  std::string format = "csv", since, until;
};

std::string day_text(const google::protobuf::Timestamp& time) {
  return google::protobuf::util::TimeUtil::ToString(time).substr(0, 10);
}

// "hold", "available": the last word of a proto enum's name.
std::string word(const std::string& name, const char* prefix) {
  std::string text(absl::StripPrefix(name, prefix));
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

Status balance(const Command& command) {
  ESP_ASSIGN(const auto response, call(command, &Billing::GetBalance, v1::GetBalanceRequest()));
  const v1::Balance& balance = response.balance();
  if (command.json) {
    std::cout << to_json(balance) << std::endl;
    return absl::OkStatus();
  }
  const auto row = [](const char* name, int64_t nanos) {
    std::cout << absl::StrFormat("%-12s %14s\n", name, dollars_precise(nanos));
  };
  row("available", balance.available_nanos());
  row("held", balance.held_nanos());
  row("charged", balance.revenue_nanos());
  row("granted", balance.granted_nanos());
  if (balance.adjusted_nanos() != 0) row("adjusted", balance.adjusted_nanos());
  row("today", balance.spent_today_nanos());
  if (balance.daily_spend_nanos() > 0) row("daily limit", balance.daily_spend_nanos());
  if (balance.post_paid()) std::cout << "post-paid: jobs need no credit" << std::endl;
  return absl::OkStatus();
}

Status invoices(const Command& command, const ListOptions& options) {
  v1::ListInvoicesRequest request;
  request.set_month(options.filter);
  v1::ListInvoicesResponse last;
  ESP_TRY(
      call_pages(command, &Billing::ListInvoices, request, options.limit, [&](const v1::ListInvoicesResponse& page) {
        for (const v1::Invoice& invoice : page.invoices()) {
          std::cout << (command.json ? to_json(invoice)
                                     : absl::StrFormat("%s  %-31s %14s", day_text(invoice.time()), invoice.job_id(),
                                                       dollars_precise(invoice.cost().total_nanos())))
                    << "\n";
        }
        last = page;
        return page.invoices_size();
      }));
  if (command.json) return absl::OkStatus();
  std::cout << absl::StrFormat("%-43s %14s\n", "total", dollars(last.total_nanos()));
  if (last.refunded_nanos() != 0) {
    std::cout << absl::StrFormat("%-43s %14s\n", "refunded", dollars(-last.refunded_nanos()));
  }
  return absl::OkStatus();
}

Status invoice(const Command& command, const std::string& job_id) {
  v1::GetInvoiceRequest request;
  request.set_job_id(job_id);
  ESP_ASSIGN(const auto response, call(command, &Billing::GetInvoice, request));
  const v1::Invoice& invoice = response.invoice();
  if (command.json) {
    std::cout << to_json(invoice) << std::endl;
    return absl::OkStatus();
  }
  std::cout << absl::StrFormat("%s  %s\n", invoice.job_id(), day_text(invoice.time()));
  for (const v1::CostLine& line : invoice.cost().lines()) {
    std::cout << absl::StrFormat("%-17s %7d %-8s %12s\n", denoiser_text(line.denoiser()), line.quantity(),
                                 line.kind() == v1::COST_KIND_PREPARATION ? "objects" : "steps",
                                 dollars_precise(line.amount_nanos()));
  }
  std::cout << absl::StrFormat("%-34s %12s   (prices %s)\n", "total", dollars(invoice.cost().total_nanos()),
                               invoice.cost().price_version());
  if (invoice.refunded_nanos() != 0) {
    std::cout << absl::StrFormat("%-34s %12s\n", "refunded", dollars_precise(-invoice.refunded_nanos()));
  }
  return absl::OkStatus();
}

std::string csv_row(const v1::UsageEvent& event) {
  const v1::CostLine& line = event.line();
  const std::string version = absl::StrCat("\"", absl::StrReplaceAll(event.price_version(), {{"\"", "\"\""}}), "\"");
  return absl::StrCat(event.event_id(), ",", google::protobuf::util::TimeUtil::ToString(event.time()), ",",
                      event.tenant_id(), ",", event.job_id(), ",", denoiser_text(line.denoiser()), ",", line.quantity(),
                      ",", line.unit_nanos(), ",", line.multiplier_numerator(), ",", line.multiplier_denominator(), ",",
                      line.amount_nanos(), ",", version);
}

Status parse_day(const std::string& flag, const std::string& text, google::protobuf::Timestamp* time) {
  const std::string full = text.size() == 10 ? text + "T00:00:00Z" : text;
  if (google::protobuf::util::TimeUtil::FromString(full, time)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(flag, ": ", text, " is not a day (2026-11-30) or a time (2026-11-30T12:00:00Z)"));
}

Status usage(const Command& command, const UsageOptions& options) {
  v1::ExportUsageRequest request;
  if (!options.since.empty()) ESP_TRY(parse_day("--since", options.since, request.mutable_start_time()));
  if (!options.until.empty()) ESP_TRY(parse_day("--until", options.until, request.mutable_end_time()));
  Billing stub(coordinator_channel(command));
  grpc::ClientContext context;
  const std::stop_callback stop(command.stop, [&context] { context.TryCancel(); });
  const auto reader = stub.ExportUsage(&context, request);
  const bool json = command.json || options.format == "json";
  if (!json) {
    std::cout << "event_id,time,tenant_id,job_id,item,quantity,unit_nanos,multiplier_numerator,"
                 "multiplier_denominator,amount_nanos,price_version\n";
  }
  v1::UsageEvent event;
  while (reader->Read(&event)) std::cout << (json ? to_json(event) : csv_row(event)) << "\n";
  std::cout << std::flush;
  return explain(from_grpc(reader->Finish()), command.coordinator);
}

void print(const v1::LedgerTransaction& transaction) {
  std::string moved;
  for (const v1::LedgerPosting& posting : transaction.postings()) {
    absl::StrAppend(&moved, moved.empty() ? "" : " -> ",
                    word(v1::LedgerAccount_Name(posting.account()), "LEDGER_ACCOUNT_"));
  }
  std::cout << absl::StrFormat("%s  %s  %-10s %14s  %-24s %s %s\n", time_text(transaction.time(), true),
                               transaction.transaction_id(),
                               word(v1::LedgerKind_Name(transaction.kind()), "LEDGER_KIND_"),
                               dollars_precise(transaction.postings(1).amount_nanos()), moved, transaction.job_id(),
                               transaction.job_id().empty() ? transaction.note() : transaction.line());
}

Status ledger(const Command& command, const ListOptions& options) {
  v1::ListLedgerTransactionsRequest request;
  request.set_job_id(options.filter);
  return call_pages(command, &Billing::ListLedgerTransactions, request, options.limit,
                    [&](const v1::ListLedgerTransactionsResponse& page) {
                      for (const auto& transaction : page.transactions()) {
                        command.json ? void(std::cout << to_json(transaction) << "\n") : print(transaction);
                      }
                      return page.transactions_size();
                    });
}

Status pricing(const Command& command) {
  ESP_ASSIGN(const auto response, call(command, &Billing::GetPricing, v1::GetPricingRequest()));
  const v1::Pricing& prices = response.pricing();
  if (command.json) {
    std::cout << to_json(prices) << std::endl;
    return absl::OkStatus();
  }
  std::cout << absl::StrFormat("prices %s\n%-17s %14s an object, at least %d\n", prices.version(), "preparation",
                               dollars_precise(prices.object_nanos()), prices.minimum_objects());
  for (const v1::StepPrice& step : prices.steps()) {
    std::cout << absl::StrFormat("%-17s %14s for 1000 steps at rank 32, resolution 512\n",
                                 denoiser_text(step.denoiser()), dollars_precise(step.nanos() * 1000));
  }
  return absl::OkStatus();
}

void add_listing(cli::App& billing, Command& command, const char* name, const char* doc, const char* flag,
                 const char* flag_doc, Status (*list)(const Command&, const ListOptions&)) {
  auto& verb = billing.verb(name, doc);
  auto options = std::make_shared<ListOptions>();
  verb.option(flag, options->filter, flag_doc);
  verb.option("--limit", options->limit, "At most so many").range(1, 1'000'000).show_default();
  verb.run([&command, options, list] { command.run = [&command, options, list] { return list(command, *options); }; });
}

void add_usage(cli::App& billing, Command& command) {
  auto& verb = billing.verb("usage", "Everything that was charged, oldest first, a line each");
  auto options = std::make_shared<UsageOptions>();
  verb.option("--format", options->format, "csv, or json (an object per line)").choices({"csv", "json"}).show_default();
  verb.option("--since", options->since, "Day or time (UTC)");
  verb.option("--until", options->until, "Day or time (UTC), exclusive");
  verb.run([&command, options] { command.run = [&command, options] { return usage(command, *options); }; });
}

}  // namespace

void add_billing(cli::App& app, Command& command) {
  auto& billing = app.verb("billing", "Credit, prices, charges and invoices");
  billing.require_verb();
  billing.options_anywhere();
  auto& credit = billing.verb("balance", "What may be spent, what is held and what was charged");
  credit.run([&command] { command.run = [&command] { return balance(command); }; });
  auto& prices = billing.verb("pricing", "The price list of new jobs");
  prices.run([&command] { command.run = [&command] { return pricing(command); }; });
  add_listing(billing, command, "invoices", "Charged jobs, newest first", "--month", "Only of 2026-11 (UTC)", invoices);
  auto& one = billing.verb("invoice", "What a job was charged");
  auto job_id = std::make_shared<std::string>();
  one.option("job", *job_id, "Job id").required();
  one.run([&command, job_id] { command.run = [&command, job_id] { return invoice(command, *job_id); }; });
  add_listing(billing, command, "ledger", "Transactions, newest first", "--job", "Only of this job", ledger);
  add_usage(billing, command);
}

}  // namespace espalier::client
