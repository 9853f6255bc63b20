#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "coordinator/billing/billing_desk.h"
#include "coordinator/jobs/event_repository.h"
#include "coordinator/jobs/job_repository.h"
#include "coordinator/retention/removal_desk.h"
#include "coordinator/retention/sweeper.h"
#include "coordinator/tenants/audit_log.h"
#include "coordinator/tenants/tenant_repository.h"
#include "tests/coordinator/fixtures.h"

namespace espalier::coordinator {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;
using ::testing::HasSubstr;

class Retention : public ::testing::Test {
 protected:
  // Runs a job to its end: one archive, one dataset, one adapter, one log file.
  v1::Job finished() {
    const v1::Job job = inside_.submit();
    if (!worker_) {
      worker_.emplace(inside_, kWorkerA);
      EXPECT_TRUE(worker_->attach().ok());
    }
    inside_.scheduler->tick();
    EXPECT_TRUE(worker_->prepared(*worker_->link->assigned()).ok());
    inside_.scheduler->tick();
    const auto training = *worker_->link->assigned();
    EXPECT_TRUE(worker_->progress(training, 10).ok());
    log_ = inside_.store(v1::ARTEFACT_KIND_LOG, "log of " + job.job_id(), &training.lease());
    checkpoint_ = inside_.store(v1::ARTEFACT_KIND_CHECKPOINT, "stray of " + job.job_id(), &training.lease());
    EXPECT_TRUE(worker_->trained(training).ok());
    const v1::Job ended = inside_.job(job.job_id());
    EXPECT_EQ(ended.state(), v1::JOB_STATE_SUCCEEDED);
    return ended;
  }

  bool exists(const std::string& artefact_id) { return inside_.library->find(kLocalTenant, artefact_id).ok(); }
  bool stored(const std::string& bytes) { return inside_.blobs->contains(sha256_hex(bytes)); }

  std::vector<std::string> audited() {
    std::vector<std::string> actions;
    EXPECT_TRUE(inside_.database
                    ->transaction([&](soci::session& sql) -> Status {
                      for (const auto& row : AuditLog(sql).list(kLocalTenant, {}))
                        actions.push_back(row.entry.action + " " + row.entry.target);
                      return absl::OkStatus();
                    })
                    .ok());
    return actions;
  }

  Inside inside_;
  Caller caller_{kLocalTenant, "key_test", v1::ROLE_SUBMIT};
  std::optional<FakeWorker> worker_;
  std::string log_, checkpoint_;
  RemovalDesk desk_{*inside_.database, *inside_.library, inside_.clock};
  Sweeper sweeper_{*inside_.database, *inside_.library, RetentionConfig(), inside_.clock};
};

TEST_F(Retention, ADeletedJobTakesAlongWhatItMade) {
  const v1::Job job = finished();
  const std::string dataset = job.preparation().dataset_id();
  const std::string adapter = job.denoisers(0).adapter().artefact_id();
  ASSERT_TRUE(desk_.delete_job(caller_, job.job_id()).ok());
  EXPECT_EQ(inside_.desk->job(kLocalTenant, job.job_id()).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(inside_.desk->list(kLocalTenant, {})->jobs_size(), 0);
  EXPECT_FALSE(exists(adapter) || exists(log_) || exists(checkpoint_));
  EXPECT_FALSE(stored("prepared"));
  EXPECT_TRUE(stored("zip of assets")) << "an upload is not the job's";
  EXPECT_EQ(desk_.delete_dataset(caller_, dataset).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(desk_.delete_job(caller_, job.job_id()).code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(audited(), ::testing::ElementsAre("job.delete " + job.job_id()));
  // The request is still known: sent again it makes no second job.
  const auto again = inside_.desk->submit(kLocalTenant, inside_.request("request-1", {v1::DENOISER_SPARSE_STRUCTURE}));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(again->duplicate());
}

TEST_F(Retention, TheInvoiceOfADeletedJobStays) {
  const v1::Job job = finished();
  BillingDesk billing(*inside_.database, inside_.clock, billing::PriceList());
  const auto before = billing.invoice(kLocalTenant, job.job_id());
  ASSERT_TRUE(before.ok()) << before.status();
  ASSERT_GT(before->cost().total_nanos(), 0);
  ASSERT_TRUE(desk_.delete_job(caller_, job.job_id()).ok());
  const auto after = billing.invoice(kLocalTenant, job.job_id());
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(after->SerializeAsString(), before->SerializeAsString());
  EXPECT_EQ(billing.invoice("tnt_other", job.job_id()).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(Retention, ADatasetThatAnotherJobUsesOutlivesItsJob) {
  const v1::Job job = finished();
  v1::SubmitJobRequest request = inside_.request("reuses-it", {v1::DENOISER_SPARSE_STRUCTURE});
  request.mutable_spec()->set_dataset_id(job.preparation().dataset_id());
  const auto second = inside_.desk->submit(kLocalTenant, request);
  ASSERT_TRUE(second.ok()) << second.status();
  const Status needed = desk_.delete_dataset(caller_, job.preparation().dataset_id());
  EXPECT_EQ(needed.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(needed.message()), HasSubstr(second->job().job_id()));
  ASSERT_TRUE(desk_.delete_job(caller_, job.job_id()).ok());
  EXPECT_TRUE(stored("prepared"));
  ASSERT_TRUE(inside_.scheduler->cancel(kLocalTenant, second->job().job_id()).ok());
  if (inside_.job(second->job().job_id()).state() == v1::JOB_STATE_CANCELLING) {
    ASSERT_TRUE(worker_->stopped(*worker_->link->assigned()).ok());
  }
  EXPECT_TRUE(desk_.delete_dataset(caller_, job.preparation().dataset_id()).ok());
  EXPECT_FALSE(stored("prepared"));
}

TEST_F(Retention, WhatIsNeededIsNotDeletedAndTheMessageSaysByWhom) {
  const v1::Job waiting = inside_.submit();
  const auto refused = [](const Status& status, const std::string& by) {
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(by));
  };
  refused(desk_.delete_job(caller_, waiting.job_id()), "has not ended");
  refused(desk_.delete_artefact(caller_, waiting.spec().artefact_id()), waiting.job_id());
  ASSERT_TRUE(inside_.scheduler->cancel(kLocalTenant, waiting.job_id()).ok());

  const v1::Job job = finished();
  const v1::Adapter& adapter = job.denoisers(0).adapter();
  refused(desk_.delete_artefact(caller_, adapter.artefact_id()), adapter.adapter_id());
  EXPECT_TRUE(exists(adapter.artefact_id()));
  EXPECT_TRUE(desk_.delete_adapter(caller_, adapter.adapter_id()).ok());
  EXPECT_FALSE(exists(adapter.artefact_id()));
  EXPECT_TRUE(desk_.delete_artefact(caller_, job.spec().artefact_id()).ok());
  EXPECT_FALSE(stored("zip of assets"));
}

TEST_F(Retention, AnotherTenantsThingsAreNotThere) {
  const v1::Job job = finished();
  const Caller stranger{"tnt_other", "key_other", v1::ROLE_ADMIN};
  for (const Status& status :
       {desk_.delete_job(stranger, job.job_id()), desk_.delete_artefact(stranger, job.spec().artefact_id()),
        desk_.delete_dataset(stranger, job.preparation().dataset_id()),
        desk_.delete_adapter(stranger, job.denoisers(0).adapter().adapter_id())})
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound) << status;
  EXPECT_TRUE(stored("prepared"));
  EXPECT_TRUE(audited().empty());
}

TEST_F(Retention, ContentGoesWithItsLastArtefact) {
  const auto first = inside_.store(v1::ARTEFACT_KIND_ARCHIVE, "same bytes");
  const auto second = inside_.store(v1::ARTEFACT_KIND_ADAPTER, "same bytes");
  ASSERT_NE(first, second);
  ASSERT_TRUE(desk_.delete_artefact(caller_, first).ok());
  EXPECT_TRUE(stored("same bytes"));
  ASSERT_TRUE(desk_.delete_artefact(caller_, second).ok());
  EXPECT_FALSE(stored("same bytes"));
}

TEST_F(Retention, ASweepRemovesWhatIsOldAndNothingElse) {
  const v1::Job job = finished();
  const auto unused = inside_.store(v1::ARTEFACT_KIND_ARCHIVE, "never used");
  ASSERT_EQ(sweeper_.sweep()->artefacts, 0);

  inside_.clock.advance(hours(25));
  EXPECT_EQ(sweeper_.sweep()->artefacts, 1);
  EXPECT_FALSE(exists(checkpoint_));
  inside_.clock.advance(hours(7 * 24));
  const v1::Job waiting = inside_.submit();  // of the same archive
  EXPECT_EQ(sweeper_.sweep()->artefacts, 1);
  EXPECT_FALSE(exists(unused));
  EXPECT_TRUE(exists(waiting.spec().artefact_id())) << "an unfinished job reads it";
  EXPECT_TRUE(exists(log_));
  inside_.clock.advance(hours(30 * 24));
  EXPECT_EQ(sweeper_.sweep()->artefacts, 1);
  EXPECT_FALSE(exists(log_));
  // Datasets and adapters stay until they are deleted.
  inside_.clock.advance(hours(1000 * 24));
  EXPECT_EQ(sweeper_.sweep()->artefacts, 0);
  EXPECT_TRUE(exists(job.denoisers(0).adapter().artefact_id()));
  EXPECT_TRUE(stored("prepared"));
}

TEST_F(Retention, ASweepRemovesLogLinesOfEndedJobs) {
  const v1::Job job = finished();
  const auto lines = [&] { return inside_.desk->logs(kLocalTenant, job.job_id(), 0, 10)->items.size(); };
  ASSERT_TRUE(inside_.database
                  ->transaction([&](soci::session& sql) -> Status {
                    ESP_ASSIGN(JobRecord record, JobRepository(sql).find(job.job_id(), kLocalTenant));
                    v1::LogLine line;
                    line.set_text("hello");
                    EventRepository(sql).append_log(record, line);
                    JobRepository(sql).update(record);
                    return absl::OkStatus();
                  })
                  .ok());
  ASSERT_EQ(lines(), 1u);
  ASSERT_EQ(sweeper_.sweep()->log_lines, 0);
  inside_.clock.advance(hours(31 * 24));
  EXPECT_EQ(sweeper_.sweep()->log_lines, 1);
  EXPECT_EQ(lines(), 0u);
}

TEST_F(Retention, AnOutputThatItsTaskNeverNamedExpires) {
  const v1::Job job = inside_.submit();
  FakeWorker worker(inside_, kWorkerB);
  ASSERT_TRUE(worker.attach().ok());
  inside_.scheduler->tick();
  const auto task = *worker.link->assigned();
  const auto orphan = inside_.store(v1::ARTEFACT_KIND_PREPARED_DATASET, "never reported", &task.lease());
  ASSERT_TRUE(worker.failed(task, /*permanent=*/true).ok());
  ASSERT_EQ(inside_.job(job.job_id()).state(), v1::JOB_STATE_FAILED);
  inside_.clock.advance(hours(6 * 24));
  EXPECT_EQ(sweeper_.sweep()->artefacts, 0);
  inside_.clock.advance(hours(2 * 24));
  EXPECT_GE(sweeper_.sweep()->artefacts, 1);
  EXPECT_FALSE(exists(orphan));
}

TEST_F(Retention, BytesThatACrashLeftAreCollected) {
  const std::string digest(64, 'a');
  const fs::path folder = inside_.folder->path() / "artefacts";
  const fs::path orphan = folder / "sha256" / "aa" / "aa" / digest;
  fs::create_directories(orphan.parent_path());
  std::ofstream(orphan) << "bytes without a row";
  const auto kept = inside_.store(v1::ARTEFACT_KIND_ARCHIVE, "bytes with a row");
  const fs::path partial = folder / "partial" / "half-sent";
  std::ofstream(partial) << "half";
  auto swept = sweeper_.sweep();
  ASSERT_TRUE(swept.ok()) << swept.status();
  EXPECT_EQ(swept->orphans + swept->partial_uploads, 0) << "it may be on its way to its row";

  const auto old = fs::file_time_type::clock::now() - hours(25);
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) fs::last_write_time(entry.path(), old);
  }
  swept = sweeper_.sweep();
  EXPECT_EQ(swept->orphans, 1);
  EXPECT_EQ(swept->partial_uploads, 1);
  EXPECT_FALSE(fs::exists(orphan) || fs::exists(partial));
  EXPECT_TRUE(exists(kept) && stored("bytes with a row"));
}

TEST_F(Retention, AnUploadOverTheTenantsStorageLimitIsRefused) {
  ASSERT_TRUE(inside_.database
                  ->transaction([&](soci::session& sql) -> Status {
                    TenantRecord tenant;
                    tenant.id = "tnt_small";
                    tenant.limits = no_limits();
                    tenant.limits.set_max_storage_bytes(100);
                    TenantRepository(sql).insert(tenant);
                    return absl::OkStatus();
                  })
                  .ok());
  const auto upload = [&](const std::string& bytes) -> Status {
    v1::UploadHeader header;
    header.set_kind(v1::ARTEFACT_KIND_ARCHIVE);
    header.set_file_name("assets.zip");
    header.set_size_bytes(static_cast<int64_t>(bytes.size()));
    header.set_sha256(sha256_hex(bytes));
    ESP_ASSIGN(const auto writer, inside_.library->upload("tnt_small", header));
    if (writer->existing()) return absl::OkStatus();
    ESP_TRY(writer->write(bytes));
    return writer->finish().status();
  };
  EXPECT_TRUE(upload(std::string(60, 'a')).ok());
  EXPECT_TRUE(upload(std::string(60, 'a')).ok()) << "the same content again costs nothing";
  const Status refused = upload(std::string(41, 'b'));
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(exceeded_quota(refused), "max_storage_bytes");
  EXPECT_THAT(std::string(refused.message()), HasSubstr("60 bytes are stored"));
  EXPECT_TRUE(upload(std::string(40, 'c')).ok());
}

}  // namespace
}  // namespace espalier::coordinator
