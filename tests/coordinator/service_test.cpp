#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "common/files.h"
#include "common/sha256.h"
#include "coordinator/coordinator.h"
#include "espalier/v1/adapters.grpc.pb.h"
#include "espalier/v1/artefacts.grpc.pb.h"
#include "espalier/v1/datasets.grpc.pb.h"
#include "espalier/v1/jobs.grpc.pb.h"
#include "espalier/v1/worker.grpc.pb.h"
#include "rpc/channel.h"
#include "rpc/status.h"
#include "tests/coordinator/local_channel.h"
#include "tests/coordinator/small_job.h"

namespace espalier::coordinator {
namespace {

using ::testing::HasSubstr;

// A coordinator on a folder of its own, reached over gRPC.
class ServiceTest : public ::testing::Test {
 protected:
  ServiceTest() {
    config_.listen = "127.0.0.1:0";
    config_.data_dir = (folder_->path() / "data").string();
    config_.limits.min_free_disk = {0};
    config_.lease.heartbeat = std::chrono::milliseconds(100);
    start();
  }

  void start() {
    auto started = Coordinator::start(config_, clock_);
    ASSERT_TRUE(started.ok()) << started.status();
    coordinator_ = *std::move(started);
    config_.listen = coordinator_->address();  // the same port after a restart
    channel_ = local_channel(config_, coordinator_->address());
    worker_channel_ = local_channel(config_, coordinator_->address(), kWorkerKeyFile);
    jobs_ = v1::JobService::NewStub(channel_);
    artefacts_ = v1::ArtefactService::NewStub(channel_);
    worker_artefacts_ = v1::ArtefactService::NewStub(worker_channel_);
  }

  Result<v1::Artefact> upload(const std::string& bytes, v1::ArtefactKind kind, int64_t offset = 0,
                              const v1::TaskLease* lease = nullptr, size_t send = std::string::npos) {
    grpc::ClientContext context;
    v1::UploadResponse response;
    const auto writer = (lease ? worker_artefacts_ : artefacts_)->Upload(&context, &response);
    v1::UploadRequest part;
    auto* header = part.mutable_header();
    header->set_kind(kind);
    header->set_file_name("file.zip");
    header->set_size_bytes(static_cast<int64_t>(bytes.size()));
    header->set_sha256(sha256_hex(bytes));
    header->set_offset(offset);
    if (lease) *header->mutable_task() = *lease;
    bool open = writer->Write(part);
    const size_t end = std::min(bytes.size(), send);
    for (size_t at = static_cast<size_t>(offset); open && at < end; at += 1000) {
      part.set_data(bytes.substr(at, std::min<size_t>(1000, end - at)));
      open = writer->Write(part);
    }
    writer->WritesDone();
    const grpc::Status status = writer->Finish();
    if (!status.ok()) return from_grpc(status);
    return response.artefact();
  }

  Result<std::string> download(const std::string& id, int64_t offset = 0) {
    grpc::ClientContext context;
    v1::DownloadRequest request;
    request.set_artefact_id(id);
    request.set_offset(offset);
    const auto reader = artefacts_->Download(&context, request);
    std::string bytes;
    v1::DownloadResponse part;
    while (reader->Read(&part)) bytes += part.data();
    const grpc::Status status = reader->Finish();
    if (!status.ok()) return from_grpc(status);
    return bytes;
  }

  v1::SubmitJobRequest request(const std::string& id) {
    const auto archive = upload("a zip of assets", v1::ARTEFACT_KIND_ARCHIVE);
    EXPECT_TRUE(archive.ok()) << archive.status();
    return small_job(id, archive.ok() ? archive->artefact_id() : "");
  }

  Result<v1::SubmitJobResponse> submit(const v1::SubmitJobRequest& request) {
    grpc::ClientContext context;
    set_deadline(context);
    v1::SubmitJobResponse response;
    const grpc::Status status = jobs_->SubmitJob(&context, request, &response);
    if (!status.ok()) return from_grpc(status);
    return response;
  }

  v1::Job job(const std::string& id) {
    grpc::ClientContext context;
    set_deadline(context);
    v1::GetJobRequest request;
    request.set_job_id(id);
    v1::GetJobResponse response;
    const grpc::Status status = jobs_->GetJob(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.job();
  }

  // The events after a sequence, at most `limit` of them.
  std::vector<v1::JobEvent> watch(const std::string& id, int64_t after, size_t limit = 1000) {
    grpc::ClientContext context;
    v1::WatchJobRequest request;
    request.set_job_id(id);
    request.set_after_sequence(after);
    const auto reader = jobs_->WatchJob(&context, request);
    std::vector<v1::JobEvent> events;
    v1::JobEvent event;
    while (events.size() < limit && reader->Read(&event)) events.push_back(event);
    if (events.size() >= limit) context.TryCancel();
    while (reader->Read(&event)) {
    }
    last_watch_ = reader->Finish();
    return events;
  }

  v1::WorkerMessage hello() {
    v1::WorkerMessage message;
    message.mutable_hello()->set_worker_id("wrk_aaaaaaaaaaaaaaaaaaaaaaaaaa");
    message.mutable_hello()->set_epoch(++epoch_);
    message.mutable_hello()->set_slots(1);
    message.mutable_hello()->set_base("nano");
    message.mutable_hello()->add_denoisers(v1::DENOISER_SPARSE_STRUCTURE);
    return message;
  }

  // Attaches over gRPC and does what it is told with made-up results, until `tasks` are done.
  void work(int tasks) {
    auto stub = v1::WorkerService::NewStub(worker_channel_);
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    const auto stream = stub->Attach(&context);
    stream->Write(hello());
    v1::CoordinatorMessage message;
    uint64_t seq = 0;
    while (tasks > 0 && stream->Read(&message)) {
      if (!message.has_assign_task()) continue;
      do_task(*stream, message.assign_task(), &seq);
      --tasks;
    }
    while (stream->Read(&message) && message.ack().seq() < seq) {
    }
    stream->WritesDone();
    while (stream->Read(&message)) {
    }
    stream->Finish();
  }

  void do_task(grpc::ClientReaderWriter<v1::WorkerMessage, v1::CoordinatorMessage>& stream, const v1::AssignTask& task,
               uint64_t* seq) {
    v1::WorkerMessage report;
    const auto send = [&] {
      report.set_seq(++*seq);
      stream.Write(report);
    };
    *report.mutable_task_started()->mutable_lease() = task.lease();
    send();
    *report.mutable_logs()->mutable_lease() = task.lease();
    report.mutable_logs()->add_lines()->set_text("working");
    send();
    auto* finished = report.mutable_task_finished();
    *finished->mutable_lease() = task.lease();
    if (task.has_preprocess()) {
      EXPECT_EQ(*download(task.preprocess().source().artefact_id()), "a zip of assets");
      const auto zip = upload("prepared", v1::ARTEFACT_KIND_PREPARED_DATASET, 0, &task.lease());
      finished->mutable_preprocessed()->set_artefact_id(zip->artefact_id());
      finished->mutable_preprocessed()->set_resolution(512);
      finished->mutable_preprocessed()->add_denoisers(v1::DENOISER_SPARSE_STRUCTURE);
      finished->mutable_preprocessed()->set_objects(4);
    } else {
      EXPECT_EQ(*download(task.train().dataset().artefact_id()), "prepared");
      const auto adapter = upload("adapter", v1::ARTEFACT_KIND_ADAPTER, 0, &task.lease());
      finished->mutable_trained()->set_artefact_id(adapter->artefact_id());
    }
    send();
  }

  Result<TempDir> folder_ = TempDir::create();
  SystemClock clock_;
  CoordinatorConfig config_;
  std::unique_ptr<Coordinator> coordinator_;
  std::shared_ptr<grpc::Channel> channel_, worker_channel_;
  std::unique_ptr<v1::JobService::Stub> jobs_;
  std::unique_ptr<v1::ArtefactService::Stub> artefacts_, worker_artefacts_;
  grpc::Status last_watch_;
  uint64_t epoch_ = 0;
};

TEST_F(ServiceTest, RunsAJobOverTheWire) {
  const auto submitted = submit(request("request-1"));
  ASSERT_TRUE(submitted.ok()) << submitted.status();
  const std::string id = submitted->job().job_id();
  EXPECT_EQ(submitted->job().waiting_for(), "no worker is attached");
  std::thread worker([this] { work(2); });
  const auto events = watch(id, 0);
  worker.join();
  EXPECT_TRUE(last_watch_.ok()) << last_watch_.error_message();
  ASSERT_FALSE(events.empty());
  for (size_t i = 0; i < events.size(); ++i) EXPECT_EQ(events[i].sequence(), static_cast<int64_t>(i) + 1);
  EXPECT_EQ(events.back().state_changed().state(), v1::JOB_STATE_SUCCEEDED);
  const v1::Job done = job(id);
  EXPECT_EQ(done.cost().total_nanos(), submitted->job().estimate().total_nanos());
  EXPECT_EQ(*download(done.denoisers(0).adapter().artefact_id()), "adapter");

  grpc::ClientContext context;
  v1::ListJobLogsRequest logs;
  logs.set_job_id(id);
  v1::ListJobLogsResponse lines;
  ASSERT_TRUE(jobs_->ListJobLogs(&context, logs, &lines).ok());
  EXPECT_EQ(lines.lines_size(), 2);
}

TEST_F(ServiceTest, FinishesAJobThatARestartInterrupted) {
  const std::string id = submit(request("request-1"))->job().job_id();
  work(1);  // the preparation
  coordinator_.reset();
  start();
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_TRAINING);
  std::thread worker([this] { work(1); });
  const auto events = watch(id, 3);
  worker.join();
  EXPECT_EQ(events.front().sequence(), 4);
  EXPECT_EQ(events.back().state_changed().state(), v1::JOB_STATE_SUCCEEDED);
}

TEST_F(ServiceTest, WatchGoesOnWhereItWasCutOff) {
  const std::string id = submit(request("request-1"))->job().job_id();
  std::thread worker([this] { work(2); });
  std::vector<v1::JobEvent> pieces = watch(id, 0, 2);
  const auto rest = watch(id, pieces.back().sequence());
  worker.join();
  pieces.insert(pieces.end(), rest.begin(), rest.end());
  const auto whole = watch(id, 0);
  ASSERT_EQ(pieces.size(), whole.size());
  for (size_t i = 0; i < whole.size(); ++i) {
    EXPECT_EQ(pieces[i].SerializeAsString(), whole[i].SerializeAsString());
  }
}

TEST_F(ServiceTest, MakesOneJobOfFiftyEqualSubmits) {
  const v1::SubmitJobRequest same = request("request-1");
  std::mutex mutex;
  std::set<std::string> ids;
  int first = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 50; ++i) {
    threads.emplace_back([&] {
      const auto response = submit(same);
      const std::lock_guard lock(mutex);
      ASSERT_TRUE(response.ok()) << response.status();
      ids.insert(response->job().job_id());
      first += !response->duplicate();
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(ids.size(), 1u);
  EXPECT_EQ(first, 1);
  v1::SubmitJobRequest other = same;
  other.mutable_spec()->set_steps(101);
  const Status conflict = submit(other).status();
  EXPECT_TRUE(absl::IsAlreadyExists(conflict));
  EXPECT_EQ(reason_of(conflict), "IDEMPOTENCY_CONFLICT");
}

TEST_F(ServiceTest, ReportsEveryFaultOfASubmitAtOnce) {
  v1::SubmitJobRequest bad = request("request-1");
  bad.mutable_spec()->add_denoisers(v1::DENOISER_SPARSE_STRUCTURE);
  bad.mutable_spec()->set_rank(17);
  bad.mutable_spec()->set_steps(99);
  bad.mutable_spec()->set_learning_rate(0);
  const auto faults = field_faults(submit(bad).status());
  std::set<std::string> fields;
  for (const FieldFault& fault : faults) fields.insert(fault.field);
  EXPECT_EQ(fields, (std::set<std::string>{"spec.denoisers[1]", "spec.rank", "spec.steps", "spec.learning_rate"}));
}

TEST_F(ServiceTest, PagesThroughJobsNewestFirst) {
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) ids.push_back(submit(request("request-" + std::to_string(i)))->job().job_id());
  v1::ListJobsRequest list;
  list.mutable_page()->set_page_size(2);
  std::vector<std::string> listed;
  do {
    grpc::ClientContext context;
    v1::ListJobsResponse page;
    ASSERT_TRUE(jobs_->ListJobs(&context, list, &page).ok());
    for (const auto& found : page.jobs()) listed.push_back(found.job_id());
    list.mutable_page()->set_page_token(page.next_page_token());
  } while (!list.page().page_token().empty());
  EXPECT_EQ(listed, std::vector<std::string>(ids.rbegin(), ids.rend()));
  list.mutable_page()->set_page_token("4-000000000000");
  grpc::ClientContext context;
  v1::ListJobsResponse page;
  EXPECT_EQ(jobs_->ListJobs(&context, list, &page).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ServiceTest, ResumesAnUploadWhereItBroke) {
  const std::string bytes(100'000, 'x');
  EXPECT_TRUE(absl::IsInvalidArgument(upload(bytes, v1::ARTEFACT_KIND_ARCHIVE, 0, nullptr, 40'000).status()));
  grpc::ClientContext context;
  v1::StatUploadRequest stat;
  stat.set_sha256(sha256_hex(bytes));
  stat.set_size_bytes(100'000);
  v1::StatUploadResponse arrived;
  ASSERT_TRUE(artefacts_->StatUpload(&context, stat, &arrived).ok());
  EXPECT_EQ(arrived.received_bytes(), 40'000);
  EXPECT_TRUE(absl::IsOutOfRange(upload(bytes, v1::ARTEFACT_KIND_ARCHIVE, 39'000).status()));
  const auto artefact = upload(bytes, v1::ARTEFACT_KIND_ARCHIVE, 40'000);
  ASSERT_TRUE(artefact.ok()) << artefact.status();
  EXPECT_EQ(*download(artefact->artefact_id()), bytes);
  EXPECT_EQ(*download(artefact->artefact_id(), 99'990), std::string(10, 'x'));
  EXPECT_TRUE(absl::IsOutOfRange(download(artefact->artefact_id(), 100'001).status()));
  EXPECT_EQ(upload(bytes, v1::ARTEFACT_KIND_ARCHIVE)->artefact_id(), artefact->artefact_id());
}

TEST_F(ServiceTest, KeepsASecondCoordinatorOutOfItsFolder) {
  CoordinatorConfig other = config_;
  other.listen = "127.0.0.1:0";
  const Status status = Coordinator::start(other, clock_).status();
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("another coordinator"));
}

TEST_F(ServiceTest, EndsWorkerStreamsWhenItStops) {
  auto stub = v1::WorkerService::NewStub(worker_channel_);
  grpc::ClientContext context;
  const auto stream = stub->Attach(&context);
  stream->Write(hello());
  v1::CoordinatorMessage message;
  ASSERT_TRUE(stream->Read(&message));
  EXPECT_TRUE(message.has_welcome());
  coordinator_->stop();
  while (stream->Read(&message)) {
  }
  EXPECT_FALSE(stream->Finish().ok());
}

TEST_F(ServiceTest, EndsWatchesWhenItStops) {
  const std::string id = submit(request("request-1"))->job().job_id();
  grpc::ClientContext context;
  v1::WatchJobRequest watched;
  watched.set_job_id(id);
  const auto reader = jobs_->WatchJob(&context, watched);
  v1::JobEvent event;
  ASSERT_TRUE(reader->Read(&event));
  coordinator_->stop();
  while (reader->Read(&event)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace espalier::coordinator
