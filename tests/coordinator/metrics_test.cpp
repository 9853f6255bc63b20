#include <grpcpp/grpcpp.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <cstdlib>
#include <regex>
#include <set>

#include "coordinator/coordinator.h"
#include "coordinator/metrics/endpoint.h"
#include "coordinator/metrics/job_meter.h"
#include "coordinator/metrics/monitor.h"
#include "espalier/v1/jobs.grpc.pb.h"
#include "tests/coordinator/fixtures.h"
#include "tests/coordinator/local_channel.h"

namespace espalier::coordinator {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// The body of GET /metrics.
std::string scrape(const std::string& address) {
  namespace asio = boost::asio;
  asio::io_context io;
  asio::ip::tcp::socket socket(io);
  const size_t colon = address.rfind(':');
  asio::connect(socket, asio::ip::tcp::resolver(io).resolve(address.substr(0, colon), address.substr(colon + 1)));
  asio::write(socket, asio::buffer("GET /metrics HTTP/1.0\r\nHost: " + address + "\r\n\r\n"));
  std::string answer;
  boost::system::error_code error;
  asio::read(socket, asio::dynamic_buffer(answer), error);
  EXPECT_THAT(answer, HasSubstr("200 OK"));
  const size_t body = answer.find("\r\n\r\n");
  return body == std::string::npos ? "" : answer.substr(body + 4);
}

// The value of a sample, named as the exposition writes it; -1 when it is not there.
double value(const std::string& exposition, const std::string& sample) {
  const size_t at = ("\n" + exposition).find("\n" + sample + " ");
  return at == std::string::npos ? -1 : std::stod(exposition.substr(at + sample.size()));
}

TEST(Metrics, CountWhatHappensToAJobOnce) {
  Inside inside;
  Monitor monitor(*inside.database, inside.clock);
  ASSERT_TRUE(monitor.serve("127.0.0.1:0").ok());
  inside.changes.listen([&](const std::string& job_id) { monitor.job_changed(job_id); });
  const v1::Job job = inside.submit({v1::DENOISER_SPARSE_STRUCTURE, v1::DENOISER_GEOMETRY});
  std::string text = scrape(monitor.address());
  EXPECT_EQ(value(text, "espalier_jobs_submitted_total"), 1);
  inside.clock.advance(std::chrono::seconds(3));
  FakeWorker worker(inside, kWorkerA);
  ASSERT_TRUE(worker.attach().ok());
  inside.scheduler->tick();
  const auto preparation = *worker.link->assigned();
  v1::WorkerMessage message;
  *message.mutable_preparation_progress()->mutable_lease() = preparation.lease();
  message.mutable_preparation_progress()->mutable_progress()->set_done(13);
  message.mutable_preparation_progress()->mutable_progress()->set_total(13);
  message.mutable_preparation_progress()->mutable_progress()->set_skipped(1);
  ASSERT_TRUE(worker.report(message).ok());
  message.mutable_object_failed()->mutable_object()->set_path("broken.glb");
  *message.mutable_object_failed()->mutable_lease() = preparation.lease();
  ASSERT_TRUE(worker.report(message).ok());
  ASSERT_TRUE(worker.prepared(preparation).ok());
  inside.scheduler->tick();
  const auto first = *worker.link->assigned();
  ASSERT_TRUE(worker.progress(first, 7).ok());
  ASSERT_TRUE(worker.failed(first, /*permanent=*/false).ok());
  inside.scheduler->tick();
  const auto second = *worker.link->assigned();
  EXPECT_EQ(second.train().denoiser(), v1::DENOISER_GEOMETRY);
  ASSERT_TRUE(worker.trained(second).ok());
  inside.clock.advance(std::chrono::seconds(60));
  inside.scheduler->tick();
  const auto again = *worker.link->assigned();
  ASSERT_TRUE(worker.progress(again, 5).ok());  // resumed from before: these steps were counted
  ASSERT_TRUE(worker.progress(again, 12).ok());
  ASSERT_TRUE(worker.trained(again).ok());
  EXPECT_EQ(inside.job(job.job_id()).state(), v1::JOB_STATE_SUCCEEDED);

  for (int i = 0; i < 2; ++i) {  // a scrape changes nothing
    text = scrape(monitor.address());
    EXPECT_EQ(value(text, "espalier_jobs_submitted_total"), 1);
    EXPECT_EQ(value(text, "espalier_jobs_ended_total{state=\"succeeded\"}"), 1);
    EXPECT_EQ(value(text, "espalier_jobs{state=\"succeeded\"}"), 1);
    EXPECT_EQ(value(text, "espalier_queue_wait_seconds_count"), 1);
    EXPECT_DOUBLE_EQ(value(text, "espalier_queue_wait_seconds_sum"), 3);
    EXPECT_DOUBLE_EQ(value(text, "espalier_job_duration_seconds_sum{state=\"succeeded\"}"), 63);
    EXPECT_EQ(value(text, "espalier_preprocess_objects_total{result=\"prepared\"}"), 12);
    EXPECT_EQ(value(text, "espalier_preprocess_objects_total{result=\"failed\"}"), 1);
    EXPECT_EQ(value(text, "espalier_stage_steps_total{denoiser=\"sparse_structure\"}"), 12);
    EXPECT_EQ(value(text, "espalier_stage_step_seconds_count{denoiser=\"sparse_structure\"}"), 12);
    EXPECT_EQ(value(text, "espalier_task_attempts_failed_total{stage=\"sparse_structure\"}"), 1);
    EXPECT_EQ(value(text, "espalier_blob_bytes{kind=\"archive\"}"), 13);
    EXPECT_EQ(value(text, "espalier_scrape_errors"), 0);
  }
}

TEST(Metrics, DoNotCountAgainWhatHappenedBeforeARestart) {
  Inside inside;
  FakeWorker worker(inside, kWorkerA);
  ASSERT_TRUE(worker.attach().ok());
  inside.submit();
  inside.scheduler->tick();
  ASSERT_TRUE(worker.prepared(*worker.link->assigned()).ok());
  inside.scheduler->tick();
  const auto training = *worker.link->assigned();
  ASSERT_TRUE(worker.progress(training, 40).ok());
  inside.clock.advance(std::chrono::seconds(2));
  inside.scheduler->tick();  // stores it

  Monitor monitor(*inside.database, inside.clock);
  ASSERT_TRUE(monitor.serve("127.0.0.1:0").ok());
  inside.changes.listen([&](const std::string& job_id) { monitor.job_changed(job_id); });
  ASSERT_TRUE(worker.progress(training, 50).ok());
  ASSERT_TRUE(worker.trained(training).ok());
  const std::string text = scrape(monitor.address());
  EXPECT_EQ(value(text, "espalier_jobs_submitted_total"), 0);
  EXPECT_EQ(value(text, "espalier_queue_wait_seconds_count"), 0);
  EXPECT_EQ(value(text, "espalier_stage_steps_total{denoiser=\"sparse_structure\"}"), 10);
  EXPECT_EQ(value(text, "espalier_jobs_ended_total{state=\"succeeded\"}"), 1);
}

TEST(Metrics, TellHowManyTasksWaitAndWhoWorks) {
  Inside inside;
  Monitor monitor(*inside.database, inside.clock);
  ASSERT_TRUE(monitor.serve("127.0.0.1:0").ok());
  inside.submit();
  inside.submit();
  v1::Hello hello;
  hello.set_slots(3);
  std::optional<WorkerBoard::Entry> entry(std::in_place, monitor.workers(), hello);
  v1::WorkerMessage message;
  message.mutable_heartbeat()->add_running();
  entry->heard(message);
  inside.clock.advance(std::chrono::seconds(4));
  std::string text = scrape(monitor.address());
  EXPECT_EQ(value(text, "espalier_queue_depth{priority=\"normal\"}"), 2);
  EXPECT_EQ(value(text, "espalier_jobs{state=\"queued\"}"), 2);
  EXPECT_EQ(value(text, "espalier_workers{state=\"ready\"}"), 1);
  EXPECT_EQ(value(text, "espalier_worker_slots{use=\"busy\"}"), 1);
  EXPECT_EQ(value(text, "espalier_worker_slots{use=\"free\"}"), 2);
  EXPECT_EQ(value(text, "espalier_worker_heartbeat_age_seconds"), 4);
  message.mutable_heartbeat()->set_draining(true);
  entry->heard(message);
  EXPECT_EQ(value(scrape(monitor.address()), "espalier_workers{state=\"draining\"}"), 1);
  entry.reset();
  EXPECT_EQ(value(scrape(monitor.address()), "espalier_workers{state=\"draining\"}"), 0);
}

TEST(Metrics, NameAWrongOrTakenAddress) {
  EXPECT_EQ(MetricsEndpoint::start("nowhere", {}).status().code(), absl::StatusCode::kInvalidArgument);
  const auto first = MetricsEndpoint::start("127.0.0.1:0", {});
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = MetricsEndpoint::start((*first)->address(), {});
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr((*first)->address()));
}

// A real coordinator, calls over gRPC, and what Prometheus' own checker says of the answer.
class ScrapedCoordinator : public ::testing::Test {
 protected:
  ScrapedCoordinator() {
    config_.listen = "127.0.0.1:0";
    config_.metrics_listen = "127.0.0.1:0";
    config_.data_dir = (folder_.path() / "data").string();
    config_.limits.min_free_disk = {0};
    auto started = Coordinator::start(config_, clock_);
    EXPECT_TRUE(started.ok()) << started.status();
    coordinator_ = *std::move(started);
  }

  void call_with(const std::shared_ptr<grpc::Channel>& channel) {
    grpc::ClientContext context;
    v1::GetJobRequest request;
    request.set_job_id("job_absent");
    v1::GetJobResponse response;
    EXPECT_FALSE(v1::JobService::NewStub(channel)->GetJob(&context, request, &response).ok());
  }

  TempDir folder_ = *TempDir::create("metrics");
  SystemClock clock_;
  CoordinatorConfig config_;
  std::unique_ptr<Coordinator> coordinator_;
};

TEST_F(ScrapedCoordinator, CountsCallsByCodeAndRefusedKeys) {
  call_with(local_channel(config_, coordinator_->address()));
  call_with(grpc::CreateChannel(coordinator_->address(), grpc::InsecureChannelCredentials()));
  const std::string text = scrape(coordinator_->metrics_address());
  EXPECT_EQ(value(text,
                  "espalier_grpc_server_handled_total{code=\"NOT_FOUND\",method=\"GetJob\",service="
                  "\"JobService\"}"),
            1);
  EXPECT_EQ(value(text,
                  "espalier_grpc_server_handled_total{code=\"UNAUTHENTICATED\",method=\"GetJob\",service="
                  "\"JobService\"}"),
            1);
  EXPECT_EQ(value(text, "espalier_grpc_server_handling_seconds_count{method=\"GetJob\",service=\"JobService\"}"), 2);
  EXPECT_EQ(value(text, "espalier_auth_failures_total{reason=\"KEY_MISSING\"}"), 1);
  EXPECT_THAT(text, HasSubstr("espalier_build_info{version=\""));
}

TEST_F(ScrapedCoordinator, HasNoLabelThatGrowsWithJobsOrTenants) {
  call_with(local_channel(config_, coordinator_->address()));
  const std::string text = scrape(coordinator_->metrics_address());
  const std::set<std::string> allowed = {"code",   "denoiser", "kind",    "le",    "method", "priority", "quantile",
                                         "reason", "result",   "service", "stage", "state",  "use",      "version"};
  const std::regex label("([a-z_]+)=\"");
  for (std::sregex_iterator it(text.begin(), text.end(), label), end; it != end; ++it)
    EXPECT_TRUE(allowed.contains((*it)[1])) << (*it)[1];
  EXPECT_THAT(text, Not(HasSubstr("job_absent")));
}

TEST_F(ScrapedCoordinator, IsAcceptedByPromtool) {
  if (std::system("command -v promtool >/dev/null 2>&1") != 0)
    GTEST_SKIP() << "promtool is not installed (Debian package prometheus)";
  call_with(local_channel(config_, coordinator_->address()));
  const auto file = folder_.path() / "exposition";
  ASSERT_TRUE(write_file_atomic(file, scrape(coordinator_->metrics_address())).ok());
  const auto report = folder_.path() / "report";
  const int code = std::system(("promtool check metrics <" + file.string() + " >" + report.string() + " 2>&1").c_str());
  EXPECT_EQ(code, 0) << *read_file(report);
}

}  // namespace
}  // namespace espalier::coordinator
