#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "billing/price_list.h"
#include "cli/app.h"
#include "client/admin/subjects.h"
#include "client/call.h"
#include "espalier/v1/billing.grpc.pb.h"

namespace espalier::client {
namespace {

using Billing = v1::BillingService::Stub;

// What all bookings of an operator have.
struct Booking {
  std::string target;  // tenant, or transaction
  std::string dollars, note, request_id;
};

template <class Response>
void print(const Command& command, const Response& response) {
  if (command.json) {
    std::cout << to_json(response) << std::endl;
    return;
  }
  const v1::Balance& balance = response.balance();
  std::cout << absl::StrFormat("%s%s: %s may spend %s\n", response.transaction().transaction_id(),
                               response.duplicate() ? " (booked before)" : "", balance.tenant_id(),
                               billing::dollars_precise(balance.available_nanos()));
}

// A request with the fields that grants and adjustments share.
template <class Request>
Result<Request> credit_request(const Booking& booking) {
  Request request;
  request.set_tenant_id(booking.target);
  ESP_ASSIGN(const int64_t nanos, billing::parse_dollars(booking.dollars));
  request.set_amount_nanos(nanos);
  request.set_note(booking.note);
  request.set_request_id(booking.request_id);
  return request;
}

Status grant(const Command& command, const Booking& booking) {
  ESP_ASSIGN(const auto request, credit_request<v1::GrantCreditRequest>(booking));
  ESP_ASSIGN(const auto response, call(command, &Billing::GrantCredit, request));
  print(command, response);
  return absl::OkStatus();
}

Status adjust(const Command& command, const Booking& booking) {
  ESP_ASSIGN(const auto request, credit_request<v1::AdjustCreditRequest>(booking));
  ESP_ASSIGN(const auto response, call(command, &Billing::AdjustCredit, request));
  print(command, response);
  return absl::OkStatus();
}

Status reverse(const Command& command, const Booking& booking) {
  v1::ReverseTransactionRequest request;
  request.set_transaction_id(booking.target);
  request.set_note(booking.note);
  request.set_request_id(booking.request_id);
  ESP_ASSIGN(const auto response, call(command, &Billing::ReverseTransaction, request));
  print(command, response);
  return absl::OkStatus();
}

Status verify_ledger(const Command& command) {
  ESP_ASSIGN(const auto response, call(command, &Billing::VerifyLedger, v1::VerifyLedgerRequest()));
  if (command.json) {
    std::cout << to_json(response) << std::endl;
  } else {
    for (const v1::LedgerFault& fault : response.faults()) {
      std::cout << absl::StrFormat("%s %s %s: %s\n", fault.tenant_id().empty() ? "-" : fault.tenant_id(),
                                   fault.account().empty() ? "-" : fault.account(), fault.subject(),
                                   fault.description());
    }
    std::cout << absl::StrFormat("tenants %d, transactions %d, postings %d, faults %d\n", response.tenants(),
                                 response.transactions(), response.postings(), response.faults_size());
  }
  if (response.faults().empty()) return absl::OkStatus();
  return absl::DataLossError("the ledger does not balance; stop charging and look into the faults");
}

void add_booking(cli::App& admin, Command& command, const char* name, const char* doc, const char* target,
                 bool has_amount, Status (*book)(const Command&, const Booking&)) {
  auto& verb = admin.verb(name, doc);
  auto booking = std::make_shared<Booking>();
  verb.option(target, booking->target).required();
  if (has_amount) verb.option("dollars", booking->dollars, "12.50, up to nine decimals").required();
  verb.option("--note", booking->note, "Why; kept with the transaction, at most 200 bytes");
  verb.option("--request-id", booking->request_id, "Repeating it books nothing twice (default: a new one)");
  verb.run([&command, booking, book] {
    command.run = [&command, booking, book] {
      if (booking->request_id.empty()) booking->request_id = new_request_id();
      return book(command, *booking);
    };
  });
}

}  // namespace

void add_credit(cli::App& admin, Command& command) {
  add_booking(admin, command, "grant", "Give a tenant credit", "tenant", /*has_amount=*/true, grant);
  add_booking(admin, command, "adjust", "Correct a tenant's credit, up or down; needs --note", "tenant",
              /*has_amount=*/true, adjust);
  add_booking(admin, command, "reverse", "Undo a charge, a grant or an adjustment; needs --note", "transaction",
              /*has_amount=*/false, reverse);
  auto& ledger = admin.verb("ledger", "The books of all tenants");
  ledger.require_verb();
  ledger.options_anywhere();
  auto& verb = ledger.verb("verify", "Prove all balances from the postings; exit 1 when one is wrong");
  verb.run([&command] { command.run = [&command] { return verify_ledger(command); }; });
}

}  // namespace espalier::client
