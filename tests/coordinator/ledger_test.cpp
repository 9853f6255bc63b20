#include "coordinator/billing/ledger.h"

#include "tests/coordinator/books.h"
#include "tests/coordinator/denoisers.h"

namespace espalier::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class LedgerTest : public ::testing::Test {
 protected:
  // After every test the books must be in order.
  ~LedgerTest() override { EXPECT_THAT(books.faults(), IsEmpty()); }

  v1::SubmitJobRequest request(std::vector<v1::Denoiser> denoisers, int objects, int steps = 100) {
    v1::SubmitJobRequest request = inside.request("request-" + std::to_string(++requests_), std::move(denoisers));
    request.set_expected_objects(objects);
    request.mutable_spec()->set_steps(steps);
    return request;
  }

  std::string submit(const v1::SubmitJobRequest& request) {
    const auto response = inside.desk->submit(kLocalTenant, request);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? response->job().job_id() : "";
  }

  // Carries a submitted job to its end: each denoiser in `failing` fails for good.
  v1::Job finish(const std::string& job_id, int objects, std::vector<v1::Denoiser> failing = {}) {
    EXPECT_TRUE(worker.link || worker.attach().ok());
    while (const auto task = worker.link->assigned()) {
      if (task->has_preprocess()) {
        EXPECT_TRUE(worker.prepared(*task, objects).ok());
        continue;
      }
      const bool fails = std::count(failing.begin(), failing.end(), task->train().denoiser()) > 0;
      EXPECT_TRUE((fails ? worker.failed(*task, /*permanent=*/true) : worker.trained(*task)).ok());
    }
    return inside.job(job_id);
  }

  Inside inside;
  Books books{inside};
  FakeWorker worker{inside, kWorkerA};

 private:
  int requests_ = 0;
};

TEST_F(LedgerTest, HoldsTheEstimateAndChargesItWhenNothingFails) {
  const std::string job_id = submit(request({kGeo, kTex}, 20, 2000));
  const int64_t estimate = 2'004'600'000 + 6'492'000'000 + 6'756'000'000;
  EXPECT_EQ(books.balance().held_nanos(), estimate);
  EXPECT_EQ(books.balance().available_nanos(), -estimate);
  const v1::Job job = finish(job_id, 20);
  ASSERT_EQ(job.state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(job.cost().SerializeAsString(), job.estimate().SerializeAsString());
  EXPECT_THAT(books.booked(job_id),
              ElementsAre("HOLD submit 15252600000", "CAPTURE preparation 2004600000",
                          "CAPTURE training:geometry 6492000000", "CAPTURE training:texture 6756000000"));
  EXPECT_EQ(books.balance().held_nanos(), 0);
  EXPECT_EQ(books.balance().revenue_nanos(), estimate);
  const auto invoice = books.desk().invoice(kLocalTenant, job_id);
  ASSERT_TRUE(invoice.ok());
  EXPECT_EQ(invoice->cost().SerializeAsString(), job.estimate().SerializeAsString());
}

// Every row of the published vectors, as jobs.
TEST_F(LedgerTest, ChargesThePublishedExamplesToTheNano) {
  struct Row {
    int objects;
    std::vector<v1::Denoiser> denoisers;
    int steps, rank, resolution;
    int64_t total;
  };
  const Row rows[] = {
      {20, {kSs, kGeo, kTex}, 2000, 32, 512, 31'926'600'000},
      {20, {kSs, kGeo, kTex}, 2000, 64, 1024, 121'692'600'000},
      {4, {kTex}, 1000, 32, 512, 4'380'300'000},
      {10, {kGeo}, 101, 16, 512, 1'166'223'000},
      {10, {kSs}, 101, 16, 512, 1'423'318'500},
      {1, {kSs, kGeo, kTex}, 10000, 64, 1024, 599'442'300'000},
  };
  int64_t sum = 0;
  for (const Row& row : rows) {
    auto wanted = request(row.denoisers, row.objects, row.steps);
    wanted.mutable_spec()->set_rank(row.rank);
    wanted.mutable_spec()->set_resolution(row.resolution);
    const v1::Job job = finish(submit(wanted), row.objects);
    EXPECT_EQ(job.estimate().total_nanos(), row.total);
    EXPECT_EQ(job.cost().total_nanos(), row.total);
    sum += row.total;
    EXPECT_EQ(books.balance().revenue_nanos(), sum);
  }
}

TEST_F(LedgerTest, ChargesNothingForPreparationFromADataset) {
  const v1::Job first = finish(submit(request({kTex}, 4, 1000)), 4);
  auto again = request({kTex}, 0, 1000);
  again.mutable_spec()->set_dataset_id(first.preparation().dataset_id());
  const std::string job_id = submit(again);
  const v1::Job job = finish(job_id, 0);
  EXPECT_EQ(job.cost().total_nanos(), 3'378'000'000);
  EXPECT_EQ(job.cost().total_nanos(), job.estimate().total_nanos());
  EXPECT_THAT(books.booked(job_id), ElementsAre("HOLD submit 3378000000", "CAPTURE training:texture 3378000000"));
}

TEST_F(LedgerTest, AdjustsTheHoldWhenTheObjectsAreCounted) {
  const std::string unknown = submit(request({kGeo}, 0));
  EXPECT_EQ(books.balance().held_nanos(), 100 * kObject + 100 * kGeometryStep);  // as many as the price list assumes
  finish(unknown, 12);
  EXPECT_THAT(books.booked(unknown),
              ElementsAre("HOLD submit 10347600000", "RELEASE prepared 8820240000", "CAPTURE preparation 1202760000",
                          "CAPTURE training:geometry 324600000"));
  const std::string too_few = submit(request({kGeo}, 12));
  finish(too_few, 30);
  EXPECT_THAT(books.booked(too_few),
              ElementsAre("HOLD submit 1527360000", "HOLD prepared 1804140000", "CAPTURE preparation 3006900000",
                          "CAPTURE training:geometry 324600000"));
}

TEST_F(LedgerTest, RefusesAJobWithoutCreditAndNamesBothAmounts) {
  const int64_t price = 10 * kObject + 100 * kGeometryStep;
  books.pay_in_advance(price - 1);
  auto wanted = request({kGeo}, 10);
  const Status refused = inside.desk->submit(kLocalTenant, wanted).status();
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  EXPECT_EQ(reason_of(refused), "INSUFFICIENT_CREDIT");
  EXPECT_THAT(std::string(refused.message()), HasSubstr(std::to_string(price) + " nanos"));
  EXPECT_THAT(std::string(refused.message()), HasSubstr(std::to_string(price - 1) + " nanos"));
  EXPECT_EQ(inside.desk->list(kLocalTenant, {})->jobs_size(), 0);
  EXPECT_EQ(books.balance().held_nanos(), 0);

  wanted.set_validate_only(true);
  EXPECT_EQ(reason_of(inside.desk->submit(kLocalTenant, wanted).status()), "INSUFFICIENT_CREDIT");
  wanted.set_validate_only(false);
  ASSERT_TRUE(books.grant("one-nano-more", 1).ok());
  submit(wanted);
  EXPECT_EQ(books.balance().available_nanos(), 0);
}

TEST_F(LedgerTest, FailsAJobWhoseObjectsTurnOutToCostMoreThanThereIs) {
  books.pay_in_advance(5'000'000'000);
  const std::string job_id = submit(request({kGeo}, 1));
  const v1::Job job = finish(job_id, 500);
  EXPECT_EQ(job.state(), v1::JOB_STATE_FAILED);
  EXPECT_THAT(job.error(), HasSubstr("INSUFFICIENT_CREDIT"));
  EXPECT_EQ(books.balance().available_nanos(), 5'000'000'000);
  EXPECT_THAT(books.usage(), IsEmpty());
  EXPECT_TRUE(job.preparation().dataset_id().empty());  // or the work would be free the next time
}

TEST_F(LedgerTest, ChargesOnlyWhatHasSucceeded) {
  const std::string job_id = submit(request({kGeo, kTex}, 10));
  const v1::Job job = finish(job_id, 10, {kTex});
  EXPECT_EQ(job.state(), v1::JOB_STATE_PARTIALLY_SUCCEEDED);
  EXPECT_THAT(books.booked(job_id), ElementsAre("HOLD submit 1664700000", "CAPTURE preparation 1002300000",
                                                "CAPTURE training:geometry 324600000", "RELEASE end 337800000"));
}

TEST_F(LedgerTest, ReleasesEverythingOfAFailedJob) {
  const std::string job_id = submit(request({kGeo}, 10));
  EXPECT_EQ(finish(job_id, 10, {kGeo}).state(), v1::JOB_STATE_FAILED);
  EXPECT_THAT(books.booked(job_id), ElementsAre("HOLD submit 1326900000", "RELEASE end 1326900000"));
  EXPECT_THAT(books.usage(), IsEmpty());
  EXPECT_EQ(books.desk().invoice(kLocalTenant, job_id)->cost().total_nanos(), 0);
}

TEST_F(LedgerTest, ReleasesEverythingOfACancelledJob) {
  const std::string job_id = submit(request({kGeo}, 10));
  EXPECT_TRUE(absl::IsFailedPrecondition(books.desk().invoice(kLocalTenant, job_id).status()));
  ASSERT_TRUE(inside.desk->cancel(kLocalTenant, job_id).ok());
  EXPECT_EQ(books.balance().held_nanos(), 0);
  EXPECT_EQ(books.balance().revenue_nanos(), 0);
}

TEST_F(LedgerTest, ChargesCompletedStagesOfACancelledJobWhenThePricesSaySo) {
  billing::PriceList prices;
  prices.cancel_policy = billing::kCancelCompletedStages;
  JobDesk desk(JobDesk::Parts{*inside.database, *inside.scheduler, inside.clock}, all_denoisers(), inside.leases,
               prices);
  const auto job = desk.submit(kLocalTenant, request({kGeo}, 10));
  ASSERT_TRUE(job.ok());
  ASSERT_TRUE(worker.attach().ok());
  ASSERT_TRUE(worker.prepared(*worker.link->assigned(), 10).ok());
  const auto training = worker.link->assigned();
  ASSERT_TRUE(training);
  ASSERT_TRUE(desk.cancel(kLocalTenant, job->job().job_id()).ok());
  ASSERT_TRUE(worker.stopped(*training).ok());
  EXPECT_EQ(inside.job(job->job().job_id()).state(), v1::JOB_STATE_CANCELLED);
  EXPECT_THAT(books.booked(job->job().job_id()),
              ElementsAre("HOLD submit 1326900000", "CAPTURE preparation 1002300000", "RELEASE end 324600000"));
}

TEST_F(LedgerTest, LimitsWhatADaySpends) {
  const int64_t price = 10 * kObject + 100 * kGeometryStep;
  books.pay_in_advance(10 * price, /*daily_spend_nanos=*/price + 1);
  finish(submit(request({kGeo}, 10)), 10);
  const auto second = request({kGeo}, 10);
  const Status refused = inside.desk->submit(kLocalTenant, second).status();
  EXPECT_EQ(reason_of(refused), "DAILY_SPEND_LIMIT");
  EXPECT_THAT(std::string(refused.message()), HasSubstr("(1 nanos)"));
  inside.clock.advance(std::chrono::hours(24));
  submit(second);
}

TEST_F(LedgerTest, TakesOneChargeFromADuplicatedResult) {
  const std::string job_id = submit(request({kGeo}, 10));
  ASSERT_TRUE(worker.attach().ok());
  ASSERT_TRUE(worker.prepared(*worker.link->assigned(), 10).ok());
  const auto task = worker.link->assigned();
  ASSERT_TRUE(worker.trained(*task).ok());
  const auto once = books.booked();
  worker.seq -= 1;
  EXPECT_TRUE(worker.trained(*task).ok());  // the same report again
  EXPECT_TRUE(worker.trained(*task).ok());  // as a new report, of a lease that is over
  EXPECT_EQ(books.booked(), once);
  EXPECT_THAT(books.usage(), SizeIs(2));
}

TEST_F(LedgerTest, GivesUsageIdsThatFollowFromTheJob) {
  finish(submit(request({kGeo}, 10)), 10);
  const auto usage = books.usage();
  ASSERT_THAT(usage, SizeIs(2));
  EXPECT_NE(usage[0].event_id(), usage[1].event_id());
  EXPECT_THAT(usage[0].event_id(), SizeIs(36));
  EXPECT_EQ(usage[1].line().amount_nanos(), 100 * kGeometryStep);
  EXPECT_EQ(usage[1].price_version(), billing::PriceList().version);
}

TEST_F(LedgerTest, ListsInvoicesOfAMonth) {
  finish(submit(request({kGeo}, 10)), 10);
  finish(submit(request({kTex}, 10)), 10);
  v1::ListInvoicesRequest month;
  month.set_month("2023-11");
  month.mutable_page()->set_page_size(1);
  auto page = books.desk().invoices(kLocalTenant, month);
  ASSERT_TRUE(page.ok()) << page.status();
  ASSERT_EQ(page->invoices_size(), 1);
  EXPECT_EQ(page->invoices(0).cost().lines(1).denoiser(), kTex);
  EXPECT_EQ(page->total_nanos(), 20 * kObject + 100 * (kGeometryStep + 3'378'000));
  month.mutable_page()->set_page_token(page->next_page_token());
  page = books.desk().invoices(kLocalTenant, month);
  EXPECT_EQ(page->invoices(0).cost().lines(1).denoiser(), kGeo);
  EXPECT_TRUE(page->next_page_token().empty());
  month.mutable_page()->clear_page_token();
  month.set_month("2023-12");
  EXPECT_EQ(books.desk().invoices(kLocalTenant, month)->invoices_size(), 0);
  for (const char* wrong : {"2023", "2023-13", "2023-1", "November", "0000-01"}) {
    month.set_month(wrong);
    EXPECT_TRUE(absl::IsInvalidArgument(books.desk().invoices(kLocalTenant, month).status())) << wrong;
  }
}

TEST_F(LedgerTest, BooksAGrantOnceForItsRequestId) {
  books.pay_in_advance(0);
  const auto first = books.grant("grant-0001", 500, "welcome");
  const auto again = books.grant("grant-0001", 500, "welcome");
  ASSERT_TRUE(first.ok() && again.ok());
  EXPECT_FALSE(first->duplicate());
  EXPECT_TRUE(again->duplicate());
  EXPECT_EQ(again->transaction().transaction_id(), first->transaction().transaction_id());
  EXPECT_EQ(again->balance().available_nanos(), 500);
  EXPECT_EQ(reason_of(books.grant("grant-0001", 501, "welcome").status()), "IDEMPOTENCY_CONFLICT");
  EXPECT_TRUE(absl::IsInvalidArgument(books.grant("short", 500).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(books.grant("grant-0002", 0).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(books.grant("grant-0002", 1'000'000'000'000'001).status()));
}

TEST_F(LedgerTest, RefundsAChargeOnce) {
  books.pay_in_advance(5'000'000'000);
  const std::string job_id = submit(request({kGeo}, 10));
  finish(job_id, 10);
  v1::ListLedgerTransactionsRequest list;
  list.set_job_id(job_id);
  const auto newest = books.desk().transactions(kLocalTenant, list)->transactions(0);
  ASSERT_EQ(newest.line(), "training:geometry");
  v1::ReverseTransactionRequest reverse;
  reverse.set_request_id("refund-0001");
  reverse.set_transaction_id(newest.transaction_id());
  EXPECT_TRUE(absl::IsInvalidArgument(books.desk().reverse(kOperator, reverse).status()));  // says not why
  reverse.set_note("the adapter was not usable");
  ASSERT_TRUE(books.desk().reverse(kOperator, reverse).ok());
  EXPECT_TRUE(books.desk().reverse(kOperator, reverse)->duplicate());
  reverse.set_request_id("refund-0002");
  EXPECT_TRUE(absl::IsFailedPrecondition(books.desk().reverse(kOperator, reverse).status()));
  EXPECT_EQ(books.balance().available_nanos(), 5'000'000'000 - 10 * kObject);
  EXPECT_EQ(books.balance().revenue_nanos(), 10 * kObject);
  EXPECT_EQ(books.desk().invoice(kLocalTenant, job_id)->refunded_nanos(), 100 * kGeometryStep);
  reverse.set_transaction_id("no-such-transaction");
  EXPECT_TRUE(absl::IsNotFound(books.desk().reverse(kOperator, reverse).status()));
}

TEST_F(LedgerTest, DoesNotTakeBackCreditThatIsSpent) {
  books.pay_in_advance(0);
  const auto grant = books.grant("grant-0001", 2'000'000'000);
  submit(request({kGeo}, 10));
  v1::ReverseTransactionRequest reverse;
  reverse.set_request_id("reverse-0001");
  reverse.set_transaction_id(grant->transaction().transaction_id());
  reverse.set_note("mistaken");
  EXPECT_EQ(reason_of(books.desk().reverse(kOperator, reverse).status()), "INSUFFICIENT_CREDIT");
  v1::AdjustCreditRequest adjust;
  adjust.set_request_id("adjust-0001");
  adjust.set_tenant_id(kLocalTenant);
  adjust.set_amount_nanos(-673'100'000);
  adjust.set_note("correction");
  ASSERT_TRUE(books.desk().adjust(kOperator, adjust).ok());
  EXPECT_EQ(books.balance().available_nanos(), 0);
  EXPECT_EQ(books.balance().adjusted_nanos(), -673'100'000);
}

TEST_F(LedgerTest, ShowsATenantNothingOfAnother) {
  const std::string job_id = submit(request({kGeo}, 10));
  finish(job_id, 10);
  const std::string other = "ten_other";
  EXPECT_TRUE(absl::IsNotFound(books.desk().invoice(other, job_id).status()));
  EXPECT_EQ(books.desk().transactions(other, {})->transactions_size(), 0);
  v1::ListLedgerTransactionsRequest of_job;
  of_job.set_job_id(job_id);
  EXPECT_EQ(books.desk().transactions(other, of_job)->transactions_size(), 0);
  EXPECT_EQ(books.desk().usage(other, {})->events_size(), 0);
  EXPECT_THAT(*books.desk().next_usage(other, {}, 0), IsEmpty());
  EXPECT_EQ(books.desk().invoices(other, {})->invoices_size(), 0);
  EXPECT_EQ(books.desk().balance(other)->revenue_nanos(), 0);
}

}  // namespace
}  // namespace espalier::coordinator
