#include "tests/faults/ledger_audit.h"

#include <deque>
#include <set>

#include "absl/strings/str_cat.h"
#include "espalier/v1/billing.grpc.pb.h"
#include "rpc/channel.h"
#include "rpc/status.h"

namespace espalier::faults {
namespace {

constexpr std::chrono::seconds kPatience{30};
constexpr const char* kWrongCharge = "mischarged";
constexpr const char* kUnbalanced = "unbalanced";

// The books under one key.
class Books {
 public:
  Books(World& world, const Credentials& key) : world_(world), connection_(world.address, key) {
    billing_ = v1::BillingService::NewStub(connection_.channel);
  }

  void verify() {
    v1::VerifyLedgerResponse response;
    call(&v1::BillingService::Stub::VerifyLedger, v1::VerifyLedgerRequest(), response);
    for (const auto& fault : response.faults()) {
      world_.violation(kUnbalanced, absl::StrCat(fault.account(), " ", fault.subject(), ": ", fault.description()));
    }
  }

  void check_balance() {
    v1::GetBalanceResponse response;
    call(&v1::BillingService::Stub::GetBalance, v1::GetBalanceRequest(), response);
    const v1::Balance& balance = response.balance();
    if (balance.held_nanos() != 0) {
      world_.violation(kWrongCharge,
                       absl::StrCat(balance.held_nanos(), " nanos of tenant ", balance.tenant_id(), " stay held"));
    }
    if (balance.available_nanos() + balance.revenue_nanos() != balance.granted_nanos() + balance.adjusted_nanos()) {
      world_.violation(kUnbalanced, absl::StrCat("the balance of tenant ", balance.tenant_id(), " does not add up"));
    }
  }

  void check_job(const JobOutcome& outcome) {
    v1::ListLedgerTransactionsRequest request;
    request.set_job_id(outcome.job_id);
    request.mutable_page()->set_page_size(1000);
    v1::ListLedgerTransactionsResponse response;
    call(&v1::BillingService::Stub::ListLedgerTransactions, request, response);
    int holds = 0, captures = 0;
    int64_t captured = 0, held = 0;
    std::set<std::string> lines;
    for (const auto& transaction : response.transactions()) {
      int64_t sum = 0;
      for (const auto& posting : transaction.postings()) {
        sum += posting.amount_nanos();
        if (posting.account() == v1::LEDGER_ACCOUNT_HELD) held += posting.amount_nanos();
        if (posting.account() == v1::LEDGER_ACCOUNT_REVENUE) captured += posting.amount_nanos();
      }
      if (sum != 0)
        world_.violation(kUnbalanced, absl::StrCat("postings of ", transaction.transaction_id(), " sum to ", sum));
      holds += transaction.kind() == v1::LEDGER_KIND_HOLD && transaction.line() == "submit" ? 1 : 0;
      captures += transaction.kind() == v1::LEDGER_KIND_CAPTURE ? 1 : 0;
      const std::string line = absl::StrCat(static_cast<int>(transaction.kind()), " ", transaction.line());
      if (!lines.insert(line).second)
        world_.violation(kWrongCharge, absl::StrCat(outcome.job_id, " has two of ", line));
    }
    const v1::Cost& cost = outcome.job.cost();
    int charged_lines = 0;
    for (const auto& line : cost.lines()) charged_lines += line.amount_nanos() > 0 ? 1 : 0;
    if (holds != 1 || held != 0 || captures != charged_lines || captured != cost.total_nanos()) {
      world_.violation(kWrongCharge, absl::StrCat(outcome.job_id, " has ", holds, " holds with ", held, " left and ",
                                                  captures, " captures of ", captured, ", its cost has ", charged_lines,
                                                  " lines of ", cost.total_nanos()));
    }
    check_usage(outcome);
  }

 private:
  // One usage event per line of the cost, and no other.
  void check_usage(const JobOutcome& outcome) {
    std::multiset<int64_t> used, charged;
    for (const auto& event : usage()) {
      if (event.job_id() == outcome.job_id) used.insert(event.line().amount_nanos());
    }
    for (const auto& line : outcome.job.cost().lines()) charged.insert(line.amount_nanos());
    used.erase(0);
    charged.erase(0);  // a preparation that cost nothing may or may not be told
    if (used != charged) {
      world_.violation(kWrongCharge, absl::StrCat(outcome.job_id, " has ", used.size(), " usage events, its cost ",
                                                  charged.size(), " lines"));
    }
  }

  std::vector<v1::UsageEvent> usage() {
    v1::ListUsageRequest request;
    request.mutable_page()->set_page_size(1000);
    v1::ListUsageResponse response;
    call(&v1::BillingService::Stub::ListUsage, request, response);
    return {response.events().begin(), response.events().end()};
  }

  template <class Method, class Request, class Response>
  void call(Method method, const Request& request, Response& response) {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);  // it has just been started
    set_deadline(context, kPatience);
    const Status status = from_grpc(((*billing_).*method)(&context, request, &response));
    if (!status.ok()) world_.violation(kUnbalanced, status.ToString());
  }

  World& world_;
  const Connection connection_;
  std::unique_ptr<v1::BillingService::Stub> billing_;
};

}  // namespace

void audit_ledger(World& world, const std::vector<JobOutcome>& outcomes) {
  Books(world, world.operator_key).verify();
  std::deque<Books> books;
  for (const Credentials& key : world.tenant_keys) books.emplace_back(world, key).check_balance();
  for (size_t i = 0; i < outcomes.size(); ++i) {
    if (outcomes[i].ended) books[static_cast<size_t>(world.plan.jobs[i].tenant)].check_job(outcomes[i]);
  }
}

}  // namespace espalier::faults
