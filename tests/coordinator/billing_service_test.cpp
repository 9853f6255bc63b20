#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <set>
#include <thread>

#include "common/files.h"
#include "coordinator/coordinator.h"
#include "espalier/v1/billing.grpc.pb.h"
#include "espalier/v1/jobs.grpc.pb.h"
#include "espalier/v1/tenants.grpc.pb.h"
#include "rpc/status.h"
#include "tests/coordinator/local_channel.h"
#include "tests/coordinator/small_job.h"

namespace espalier::coordinator {
namespace {

constexpr int kThreads = 100;
constexpr int64_t kPrice = 10 * 100'230'000LL + 100 * 8'337'000LL / 2;  // of request()

template <class Stub, class Request, class Response>
Result<Response> call(Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                      const Request& request) {
  grpc::ClientContext context;
  set_deadline(context);
  Response response;
  const grpc::Status status = (stub.*method)(&context, request, &response);
  if (!status.ok()) return from_grpc(status);
  return response;
}

// A coordinator over gRPC, and the two ways to reach it: as its operator, and as a tenant that pays in advance.
class BillingServiceTest : public ::testing::Test {
 protected:
  using Jobs = v1::JobService::Stub;
  using Billing = v1::BillingService::Stub;
  using Tenants = v1::TenantService::Stub;

  BillingServiceTest() {
    config_.listen = "127.0.0.1:0";
    config_.data_dir = (folder_->path() / "data").string();
    config_.limits.min_free_disk = {0};
    auto started = Coordinator::start(config_, clock_);
    EXPECT_TRUE(started.ok()) << started.status();
    coordinator_ = *std::move(started);
    operator_ = local_channel(config_, coordinator_->address());
    make_tenant();
  }

  void make_tenant() {
    Tenants tenants(operator_);
    v1::CreateTenantRequest create;
    create.set_display_name("pays in advance");
    create.mutable_limits()->set_requests_per_second(0);  // no limits but credit
    create.mutable_limits()->set_max_queued_jobs(0);
    const auto tenant = call(tenants, &Tenants::CreateTenant, create);
    ASSERT_TRUE(tenant.ok()) << tenant.status();
    tenant_id_ = tenant->tenant().tenant_id();
    v1::CreateKeyRequest key;
    key.set_tenant_id(tenant_id_);
    key.set_name("test");
    key.set_role(v1::ROLE_SUBMIT);
    const auto made = call(tenants, &Tenants::CreateKey, key);
    ASSERT_TRUE(made.ok()) << made.status();
    ChannelSecurity security;
    security.key = Credentials{made->key().key_id(), made->secret()};
    tenant_ = *open_channel(coordinator_->address(), security);
  }

  v1::SubmitJobRequest request(const std::shared_ptr<grpc::Channel>& channel, const std::string& id) {
    v1::SubmitJobRequest request = small_job(id, upload_archive(channel));
    request.set_expected_objects(10);
    return request;
  }

  // All at the same moment; `id(i)` names the i-th request.
  template <class Id>
  std::vector<Result<v1::SubmitJobResponse>> submit_at_once(const std::shared_ptr<grpc::Channel>& channel, Id id) {
    const v1::SubmitJobRequest wanted = request(channel, "prototype");
    std::vector<Result<v1::SubmitJobResponse>> results(kThreads, absl::UnknownError("not called"));
    std::latch start(kThreads);
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] {
        Jobs jobs(channel);
        v1::SubmitJobRequest mine = wanted;
        mine.set_request_id(id(i));
        start.arrive_and_wait();
        results[static_cast<size_t>(i)] = call(jobs, &Jobs::SubmitJob, mine);
      });
    }
    for (std::thread& thread : threads) thread.join();
    return results;
  }

  Status grant(int64_t nanos, const std::string& request_id, const std::shared_ptr<grpc::Channel>& channel) {
    Billing billing(channel);
    v1::GrantCreditRequest request;
    request.set_request_id(request_id);
    request.set_tenant_id(tenant_id_);
    request.set_amount_nanos(nanos);
    return call(billing, &Billing::GrantCredit, request).status();
  }

  int transactions(const std::shared_ptr<grpc::Channel>& channel) {
    Billing billing(channel);
    return call(billing, &Billing::ListLedgerTransactions, v1::ListLedgerTransactionsRequest())->transactions_size();
  }

  v1::Balance balance(const std::shared_ptr<grpc::Channel>& channel) {
    Billing billing(channel);
    return call(billing, &Billing::GetBalance, v1::GetBalanceRequest())->balance();
  }

  int faults() {
    Billing billing(operator_);
    const auto report = call(billing, &Billing::VerifyLedger, v1::VerifyLedgerRequest());
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? report->faults_size() : -1;
  }

  Result<TempDir> folder_ = TempDir::create();
  const SystemClock clock_;
  CoordinatorConfig config_;
  std::unique_ptr<Coordinator> coordinator_;
  std::shared_ptr<grpc::Channel> operator_, tenant_;
  std::string tenant_id_;
};

TEST_F(BillingServiceTest, OneRequestIdMakesOneJobAndOneHold) {
  std::set<std::string> jobs;
  int made = 0;
  for (const auto& result : submit_at_once(operator_, [](int) { return "same-request"; })) {
    ASSERT_TRUE(result.ok()) << result.status();
    jobs.insert(result->job().job_id());
    made += !result->duplicate();
  }
  EXPECT_EQ(jobs.size(), 1u);
  EXPECT_EQ(made, 1);
  EXPECT_EQ(transactions(operator_), 1);
  EXPECT_EQ(balance(operator_).held_nanos(), kPrice);
  EXPECT_EQ(faults(), 0);
}

TEST_F(BillingServiceTest, CreditForOneJobAdmitsExactlyOne) {
  ASSERT_TRUE(grant(kPrice, "credit-for-one", operator_).ok());
  int admitted = 0, refused = 0;
  for (const auto& result : submit_at_once(tenant_, [](int i) { return "request-" + std::to_string(i); })) {
    admitted += result.ok();
    refused += reason_of(result.status()) == "INSUFFICIENT_CREDIT";
  }
  EXPECT_EQ(admitted, 1);
  EXPECT_EQ(refused, kThreads - 1);
  EXPECT_EQ(balance(tenant_).available_nanos(), 0);
  EXPECT_EQ(balance(tenant_).held_nanos(), kPrice);
  EXPECT_EQ(faults(), 0);
}

TEST_F(BillingServiceTest, OnlyOperatorsBook) {
  EXPECT_TRUE(absl::IsPermissionDenied(grant(1, "gift-to-myself", tenant_)));
  Billing billing(tenant_);
  EXPECT_TRUE(absl::IsPermissionDenied(call(billing, &Billing::VerifyLedger, v1::VerifyLedgerRequest()).status()));
  EXPECT_TRUE(
      absl::IsPermissionDenied(call(billing, &Billing::ReverseTransaction, v1::ReverseTransactionRequest()).status()));
  EXPECT_TRUE(absl::IsPermissionDenied(call(billing, &Billing::AdjustCredit, v1::AdjustCreditRequest()).status()));
  EXPECT_EQ(transactions(tenant_), 0);
}

TEST_F(BillingServiceTest, TellsThePricesThatEstimatesFollow) {
  Billing billing(tenant_);
  const auto pricing = call(billing, &Billing::GetPricing, v1::GetPricingRequest());
  ASSERT_TRUE(pricing.ok()) << pricing.status();
  EXPECT_EQ(pricing->pricing().object_nanos(), 100'230'000);
  ASSERT_EQ(pricing->pricing().steps_size(), 3);
  EXPECT_EQ(pricing->pricing().steps(1).nanos(), 3'246'000);
  Jobs jobs(tenant_);
  v1::EstimateJobRequest estimate;
  *estimate.mutable_spec() = request(tenant_, "prototype").spec();
  estimate.set_objects(10);
  EXPECT_EQ(call(jobs, &Jobs::EstimateJob, estimate)->cost().total_nanos(), kPrice);
}

TEST_F(BillingServiceTest, ATenantSeesItsOwnBooksOnly) {
  ASSERT_TRUE(grant(2 * kPrice, "credit-for-two", operator_).ok());
  Jobs jobs(tenant_);
  const auto job = call(jobs, &Jobs::SubmitJob, request(tenant_, "of-the-tenant"));
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(transactions(tenant_), 2);
  EXPECT_EQ(transactions(operator_), 0);  // its own tenant's
  Billing billing(operator_);
  v1::GetInvoiceRequest invoice;
  invoice.set_job_id(job->job().job_id());
  EXPECT_TRUE(absl::IsNotFound(call(billing, &Billing::GetInvoice, invoice).status()));
}

}  // namespace
}  // namespace espalier::coordinator
