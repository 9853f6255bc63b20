#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/coordinator/denoisers.h"
#include "tests/coordinator/fixtures.h"

namespace espalier::coordinator {
namespace {

using std::chrono::seconds;

TEST(Scheduler, RunsAJobFromPreparationToAdapters) {
  Inside inside;
  FakeWorker worker(inside, kWorkerA);
  ASSERT_TRUE(worker.attach().ok());
  const v1::Job job = inside.submit({kTex, kSs});
  auto task = worker.link->assigned();
  ASSERT_TRUE(task && task->has_preprocess());
  EXPECT_EQ(inside.job(job.job_id()).state(), v1::JOB_STATE_PREPARING);
  ASSERT_TRUE(worker.prepared(*task).ok());
  for (const auto denoiser : {kTex, kSs}) {
    task = worker.link->assigned();
    ASSERT_TRUE(task && task->has_train());
    EXPECT_EQ(task->train().denoiser(), denoiser);
    EXPECT_EQ(inside.job(job.job_id()).state(), v1::JOB_STATE_TRAINING);
    ASSERT_TRUE(worker.trained(*task).ok());
  }
  const v1::Job done = inside.job(job.job_id());
  EXPECT_EQ(done.state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(done.denoisers(0).adapter().denoiser(), kTex);
  EXPECT_EQ(done.denoisers(1).adapter().denoiser(), kSs);
  EXPECT_EQ(done.cost().total_nanos(), 12 * 100'230'000LL + 100 * (8'337'000LL + 3'378'000LL));
  EXPECT_TRUE(done.has_end_time());
}

TEST(Scheduler, TrainsDenoisersInParallelAndKeepsWhatSucceeds) {
  Inside inside;
  FakeWorker worker(inside, kWorkerA, /*slots=*/3);
  ASSERT_TRUE(worker.attach().ok());
  const v1::Job job = inside.submit({kSs, kGeo, kTex});
  ASSERT_TRUE(worker.prepared(*worker.link->assigned()).ok());
  const auto ss = worker.link->assigned(), geo = worker.link->assigned(), tex = worker.link->assigned();
  ASSERT_TRUE(ss && geo && tex);
  ASSERT_TRUE(worker.failed(*geo, /*permanent=*/true).ok());
  ASSERT_TRUE(worker.trained(*tex).ok());
  EXPECT_EQ(inside.job(job.job_id()).state(), v1::JOB_STATE_TRAINING);
  ASSERT_TRUE(worker.trained(*ss).ok());
  const v1::Job done = inside.job(job.job_id());
  EXPECT_EQ(done.state(), v1::JOB_STATE_PARTIALLY_SUCCEEDED);
  EXPECT_EQ(done.error(), "geometry: it broke");
  EXPECT_EQ(done.cost().lines_size(), 3);
}

TEST(Scheduler, FailsForFreeWhenEveryDenoiserFails) {
  Inside inside;
  FakeWorker worker(inside, kWorkerA);
  ASSERT_TRUE(worker.attach().ok());
  const v1::Job job = inside.submit();
  ASSERT_TRUE(worker.prepared(*worker.link->assigned()).ok());
  ASSERT_TRUE(worker.failed(*worker.link->assigned(), true).ok());
  EXPECT_EQ(inside.job(job.job_id()).state(), v1::JOB_STATE_FAILED);
  EXPECT_EQ(inside.job(job.job_id()).cost().total_nanos(), 0);
}

TEST(Scheduler, SkipsTheTrainingWhenThePreparationFails) {
  Inside inside;
  FakeWorker worker(inside, kWorkerA);
  ASSERT_TRUE(worker.attach().ok());
  const v1::Job job = inside.submit();
  ASSERT_TRUE(worker.failed(*worker.link->assigned(), true).ok());
  const v1::Job done = inside.job(job.job_id());
  EXPECT_EQ(done.state(), v1::JOB_STATE_FAILED);
  EXPECT_EQ(done.error(), "preparation: it broke");
  EXPECT_EQ(done.denoisers(0).state(), v1::STAGE_STATE_SKIPPED);
}

TEST(Scheduler, TriesAgainAfterAGrowingPauseUpToTheLimit) {
  Inside inside;
  FakeWorker worker(inside, kWorkerA);
  ASSERT_TRUE(worker.attach().ok());
  const v1::Job job = inside.submit();
  auto task = worker.link->assigned();
  const int pauses[] = {2, 4, 8};
  uint64_t token = task->lease().fencing_token();
  for (int failure = 0; failure < 3; ++failure) {
    ASSERT_TRUE(worker.failed(*task, false).ok());
    inside.clock.advance(seconds(pauses[failure]) - std::chrono::milliseconds(1));
    inside.scheduler->tick();
    EXPECT_FALSE(worker.link->assigned()) << failure;
    EXPECT_EQ(inside.job(job.job_id()).waiting_for(), "the next attempt after a failure");
    inside.clock.advance(std::chrono::milliseconds(1));
    inside.scheduler->tick();
    task = worker.link->assigned();
    ASSERT_TRUE(task) << failure;
    EXPECT_EQ(task->lease().attempt(), failure + 2);
    EXPECT_GT(task->lease().fencing_token(), token);
    token = task->lease().fencing_token();
  }
  ASSERT_TRUE(worker.failed(*task, false).ok());
  EXPECT_EQ(inside.job(job.job_id()).state(), v1::JOB_STATE_FAILED);
}

TEST(Scheduler, GivesASilentWorkersTaskToAnotherAndRefusesTheLateResult) {
  Inside inside;
  FakeWorker a(inside, kWorkerA), b(inside, kWorkerB);
  ASSERT_TRUE(a.attach().ok());
  const v1::Job job = inside.submit();
  const auto first = a.link->assigned();
  ASSERT_TRUE(first);
  ASSERT_TRUE(b.attach().ok());
  inside.clock.advance(seconds(20));
  ASSERT_TRUE(a.heartbeat({first->lease()}).ok());
  inside.clock.advance(seconds(20));
  inside.scheduler->tick();
  EXPECT_FALSE(a.link->cancelled()) << "the heartbeat renewed the lease";
  inside.clock.advance(seconds(11));
  inside.scheduler->tick();
  EXPECT_EQ(a.link->cancelled()->reason(), v1::CANCEL_REASON_LEASE_LOST);
  a.detach();
  inside.clock.advance(seconds(2));
  inside.scheduler->tick();
  const auto second = b.link->assigned();
  ASSERT_TRUE(second);
  EXPECT_GT(second->lease().fencing_token(), first->lease().fencing_token());

  FakeWorker late(inside, kWorkerA);
  ASSERT_TRUE(late.attach({first->lease()}).ok());
  EXPECT_EQ(late.link->cancelled()->reason(), v1::CANCEL_REASON_LEASE_LOST);
  EXPECT_EQ(inside.store(v1::ARTEFACT_KIND_PREPARED_DATASET, "late", &first->lease()), "") << "no output is taken";
  EXPECT_TRUE(late.failed(*first, true).ok()) << "acked and ignored";
  EXPECT_EQ(inside.job(job.job_id()).state(), v1::JOB_STATE_PREPARING);
  EXPECT_EQ(inside.job(job.job_id()).preparation().attempt(), 2);
}

TEST(Scheduler, LetsATaskGoOnAcrossARestartOfTheCoordinator) {
  Inside inside;
  FakeWorker worker(inside, kWorkerA);
  ASSERT_TRUE(worker.attach().ok());
  const v1::Job job = inside.submit();
  const auto task = worker.link->assigned();
  inside.clock.advance(seconds(300));  // down for long: nobody could renew
  inside.reopen();
  inside.scheduler->tick();
  ASSERT_TRUE(worker.attach({task->lease()}).ok());
  EXPECT_FALSE(worker.link->cancelled());
  ASSERT_TRUE(worker.prepared(*task).ok());
  ASSERT_TRUE(worker.trained(*worker.link->assigned()).ok());
  const v1::Job done = inside.job(job.job_id());
  EXPECT_EQ(done.state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(done.preparation().attempt(), 1);
}

TEST(Scheduler, ResumesOnAnotherWorkerFromTheStoredCheckpoint) {
  Inside inside;
  FakeWorker a(inside, kWorkerA), b(inside, kWorkerB);
  ASSERT_TRUE(a.attach().ok());
  const v1::Job job = inside.submit();
  ASSERT_TRUE(a.prepared(*a.link->assigned()).ok());
  const auto task = a.link->assigned();
  std::string stored[2];
  for (int i = 0; i < 2; ++i) {
    stored[i] = inside.store(v1::ARTEFACT_KIND_CHECKPOINT, "state " + std::to_string(i), &task->lease());
    v1::WorkerMessage saved;
    *saved.mutable_checkpoint_saved()->mutable_lease() = task->lease();
    saved.mutable_checkpoint_saved()->set_step(50 * (i + 1));
    saved.mutable_checkpoint_saved()->set_artefact_id(stored[i]);
    ASSERT_TRUE(a.report(saved).ok());
  }
  EXPECT_TRUE(absl::IsNotFound(inside.library->find(kLocalTenant, stored[0]).status())) << "replaced";
  a.detach();
  inside.clock.advance(seconds(31));
  inside.scheduler->tick();
  inside.clock.advance(seconds(2));
  ASSERT_TRUE(b.attach().ok());
  const auto again = b.link->assigned();
  ASSERT_TRUE(again && again->has_train());
  EXPECT_EQ(again->train().checkpoint().artefact_id(), stored[1]);
  EXPECT_EQ(again->train().checkpoint_step(), 100);
  ASSERT_TRUE(b.trained(*again).ok());
  EXPECT_TRUE(absl::IsNotFound(inside.library->find(kLocalTenant, stored[1]).status())) << "of no use any more";
  EXPECT_EQ(inside.job(job.job_id()).state(), v1::JOB_STATE_SUCCEEDED);
}

TEST(Scheduler, ARestartedWorkerLosesItsTasksAtOnceAndGetsThemBack) {
  Inside inside;
  FakeWorker old_process(inside, kWorkerA, 1, /*epoch=*/1);
  ASSERT_TRUE(old_process.attach().ok());
  inside.submit();
  const auto task = old_process.link->assigned();
  ASSERT_TRUE(task);
  FakeWorker new_process(inside, kWorkerA, 1, /*epoch=*/2);
  ASSERT_TRUE(new_process.attach().ok());
  EXPECT_TRUE(absl::IsAborted(*old_process.link->closed));
  EXPECT_TRUE(absl::IsAborted(old_process.heartbeat({})));
  inside.clock.advance(seconds(2));
  inside.scheduler->tick();
  EXPECT_EQ(new_process.link->assigned()->lease().attempt(), 2);
  EXPECT_TRUE(absl::IsAborted(old_process.attach())) << "an older process cannot come back";
}

TEST(Scheduler, AnAssignmentThatNeverArrivedCostsNoAttempt) {
  Inside inside;
  FakeWorker worker(inside, kWorkerA);
  ASSERT_TRUE(worker.attach().ok());
  inside.submit();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(worker.attach().ok());  // the same process, knowing of no task
  EXPECT_TRUE(worker.link->assigned());
}

TEST(Scheduler, TakesBackTasksOfAStoppingWorkerWithoutLosingAnAttempt) {
  Inside inside;
  inside.leases.max_attempts = 1;
  inside.reopen();
  FakeWorker a(inside, kWorkerA), b(inside, kWorkerB);
  ASSERT_TRUE(a.attach().ok());
  inside.submit();
  const auto task = a.link->assigned();
  ASSERT_TRUE(b.attach().ok());
  ASSERT_TRUE(a.heartbeat({task->lease()}, /*draining=*/true).ok());
  ASSERT_TRUE(a.stopped(*task).ok());
  EXPECT_FALSE(a.link->assigned());
  EXPECT_TRUE(b.link->assigned());
}

TEST(Scheduler, CancelsInEveryState) {
  Inside inside;
  const v1::Job queued = inside.submit();
  EXPECT_EQ(inside.desk->cancel(kLocalTenant, queued.job_id())->state(), v1::JOB_STATE_CANCELLED);

  FakeWorker worker(inside, kWorkerA);
  ASSERT_TRUE(worker.attach().ok());
  const v1::Job job = inside.submit();
  const auto task = worker.link->assigned();
  EXPECT_EQ(inside.desk->cancel(kLocalTenant, job.job_id())->state(), v1::JOB_STATE_CANCELLING);
  EXPECT_EQ(worker.link->cancelled()->reason(), v1::CANCEL_REASON_BY_USER);
  EXPECT_EQ(inside.desk->cancel(kLocalTenant, job.job_id())->state(), v1::JOB_STATE_CANCELLING) << "idempotent";
  ASSERT_TRUE(worker.stopped(*task).ok());
  const v1::Job done = inside.job(job.job_id());
  EXPECT_EQ(done.state(), v1::JOB_STATE_CANCELLED);
  EXPECT_EQ(done.cost().total_nanos(), 0);
  EXPECT_EQ(inside.desk->cancel(kLocalTenant, job.job_id())->state(), v1::JOB_STATE_CANCELLED);
  EXPECT_TRUE(absl::IsNotFound(inside.desk->cancel("other", job.job_id()).status()));
}

TEST(Scheduler, CancelsBetweenAttemptsAndWhenTheWorkerIsGone) {
  Inside inside;
  FakeWorker worker(inside, kWorkerA);
  ASSERT_TRUE(worker.attach().ok());
  const v1::Job waiting = inside.submit();
  ASSERT_TRUE(worker.failed(*worker.link->assigned(), false).ok());
  EXPECT_EQ(inside.desk->cancel(kLocalTenant, waiting.job_id())->state(), v1::JOB_STATE_CANCELLED);

  const v1::Job orphan = inside.submit();
  ASSERT_TRUE(worker.link->assigned());
  worker.detach();
  EXPECT_EQ(inside.desk->cancel(kLocalTenant, orphan.job_id())->state(), v1::JOB_STATE_CANCELLING);
  inside.clock.advance(seconds(31));
  inside.scheduler->tick();
  EXPECT_EQ(inside.job(orphan.job_id()).state(), v1::JOB_STATE_CANCELLED);
}

TEST(Scheduler, AcksOnlyWhatIsStoredAndIgnoresRepeats) {
  Inside inside;
  FakeWorker worker(inside, kWorkerA);
  ASSERT_TRUE(worker.attach().ok());
  const v1::Job job = inside.submit();
  ASSERT_TRUE(worker.prepared(*worker.link->assigned()).ok());
  const auto task = worker.link->assigned();
  worker.link->sent.clear();
  for (int step = 1; step <= 30; ++step) ASSERT_TRUE(worker.progress(*task, step).ok());
  const auto is_ack = [](const auto& message) { return message.has_ack(); };
  EXPECT_FALSE(worker.link->next(is_ack)) << "still buffered";
  inside.clock.advance(seconds(1));
  inside.scheduler->tick();
  EXPECT_EQ(worker.link->next(is_ack)->ack().seq(), worker.seq);
  EXPECT_EQ(inside.job(job.job_id()).denoisers(0).step(), 30);

  v1::WorkerMessage repeat;
  repeat.set_seq(worker.seq - 3);
  *repeat.mutable_checkpoint_saved()->mutable_lease() = task->lease();
  EXPECT_TRUE(worker.raw(repeat).ok());
  repeat.set_seq(worker.seq + 2);
  EXPECT_TRUE(absl::IsInvalidArgument(worker.raw(repeat))) << "a gap";

  v1::ListJobMetricsRequest metrics;
  metrics.set_job_id(job.job_id());
  metrics.set_denoiser(kSs);
  EXPECT_EQ(inside.desk->metrics(kLocalTenant, metrics)->size(), 30u) << "every step is in the history";
  int events = 0;
  const auto history = inside.desk->events(kLocalTenant, job.job_id(), 0);
  ASSERT_TRUE(history.ok());
  for (const auto& event : history->items) {
    events += event.has_training_progress();
  }
  EXPECT_EQ(events, 1) << "one event a second";
}

TEST(Scheduler, TellsAReconnectingWorkerWhatItNeedNotRepeat) {
  Inside inside;
  FakeWorker worker(inside, kWorkerA);
  ASSERT_TRUE(worker.attach().ok());
  inside.submit();
  ASSERT_TRUE(worker.prepared(*worker.link->assigned()).ok());
  const auto task = worker.link->assigned();
  ASSERT_TRUE(worker.progress(*task, 1).ok());  // not stored yet when the coordinator dies
  inside.reopen();
  ASSERT_TRUE(worker.attach({task->lease()}).ok());
  EXPECT_EQ(worker.link->sent.front().welcome().acked_seq(), worker.seq - 1);
}

TEST(Scheduler, RefusesWorkersThatDoNotFit) {
  Inside inside;
  v1::Hello hello;
  hello.set_worker_id(kWorkerA);
  hello.set_epoch(1);
  hello.set_slots(1);
  hello.set_base("other");
  const auto attach = [&] { return inside.scheduler->attach(hello, std::make_shared<FakeLink>()).status().code(); };
  EXPECT_EQ(attach(), absl::StatusCode::kFailedPrecondition);
  hello.set_base("nano");
  EXPECT_EQ(attach(), absl::StatusCode::kOk);
  hello.set_slots(0);
  EXPECT_EQ(attach(), absl::StatusCode::kInvalidArgument);
  hello.set_slots(1);
  hello.set_worker_id("wrk_../../etc");
  EXPECT_EQ(attach(), absl::StatusCode::kInvalidArgument);
}

TEST(Scheduler, FailsTheAttemptWhenAResultNamesAForeignArtefact) {
  Inside inside;
  FakeWorker worker(inside, kWorkerA);
  ASSERT_TRUE(worker.attach().ok());
  const v1::Job job = inside.submit();
  const auto task = worker.link->assigned();
  v1::WorkerMessage message;
  *message.mutable_task_finished()->mutable_lease() = task->lease();
  message.mutable_task_finished()->mutable_preprocessed()->set_artefact_id(job.spec().artefact_id());
  message.mutable_task_finished()->mutable_preprocessed()->set_objects(1);
  ASSERT_TRUE(worker.report(message).ok());
  EXPECT_EQ(inside.job(job.job_id()).preparation().state(), v1::STAGE_STATE_WAITING);
  EXPECT_THAT(inside.job(job.job_id()).preparation().error(), ::testing::HasSubstr("not usable"));
}

TEST(Scheduler, StartsFromADatasetWithoutPreparing) {
  Inside inside;
  FakeWorker worker(inside, kWorkerA);
  ASSERT_TRUE(worker.attach().ok());
  const v1::Job first = inside.submit();
  ASSERT_TRUE(worker.prepared(*worker.link->assigned()).ok());
  ASSERT_TRUE(worker.trained(*worker.link->assigned()).ok());
  auto request = inside.request("reuse-0001", {kSs});
  request.mutable_spec()->set_dataset_id(inside.job(first.job_id()).preparation().dataset_id());
  const auto second = inside.desk->submit(kLocalTenant, request);
  ASSERT_TRUE(second.ok()) << second.status();
  const auto task = worker.link->assigned();
  ASSERT_TRUE(task && task->has_train());
  ASSERT_TRUE(worker.trained(*task).ok());
  const v1::Job done = inside.job(second->job().job_id());
  EXPECT_EQ(done.state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(done.cost().total_nanos(), 100 * 8'337'000LL);
  EXPECT_EQ(done.cost().total_nanos(), second->job().estimate().total_nanos());

  request.set_request_id("reuse-0002");
  request.mutable_spec()->set_resolution(1024);
  request.mutable_spec()->add_denoisers(kGeo);
  EXPECT_EQ(field_faults(inside.desk->submit(kLocalTenant, request).status()).size(), 2u);
}

}  // namespace
}  // namespace espalier::coordinator
