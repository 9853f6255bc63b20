#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/coordinator/denoisers.h"
#include "tests/coordinator/fixtures.h"

namespace espalier::coordinator {
namespace {

using std::chrono::seconds;

// A job of 40 objects and a worker with three slots: three shards of 16 objects at most.
struct Shards {
  Shards() : worker(inside, kWorkerA, /*slots=*/3) {
    EXPECT_TRUE(worker.attach().ok());
    v1::SubmitJobRequest request = inside.request("shared-request", {kSs});
    request.set_expected_objects(40);
    job = inside.desk->submit(kLocalTenant, request)->job().job_id();
    while (const auto task = worker.link->assigned()) tasks.push_back(*task);
  }
  Status part(const v1::AssignTask& task) {
    v1::WorkerMessage message;
    *message.mutable_task_finished()->mutable_lease() = task.lease();
    auto* result = message.mutable_task_finished()->mutable_preprocessed();
    parts.push_back(inside.store(v1::ARTEFACT_KIND_DATASET_PART, "part " + std::to_string(task.preprocess().shard()),
                                 &task.lease()));
    result->set_artefact_id(parts.back());
    result->set_resolution(512);
    return worker.report(message);
  }
  Status merged(const v1::AssignTask& task) {
    v1::WorkerMessage message;
    *message.mutable_task_finished()->mutable_lease() = task.lease();
    auto* result = message.mutable_task_finished()->mutable_preprocessed();
    result->set_artefact_id(inside.store(v1::ARTEFACT_KIND_PREPARED_DATASET, "whole", &task.lease()));
    result->set_resolution(512);
    result->add_denoisers(kSs);
    result->set_objects(38);
    return worker.report(message);
  }
  Status progress(const v1::AssignTask& task, int done, int total) {
    v1::WorkerMessage message;
    *message.mutable_preparation_progress()->mutable_lease() = task.lease();
    message.mutable_preparation_progress()->mutable_progress()->set_done(done);
    message.mutable_preparation_progress()->mutable_progress()->set_total(total);
    return worker.report(message);
  }
  bool kept(const std::string& artefact) { return inside.library->find(kLocalTenant, artefact).ok(); }
  v1::PreparationStatus status() { return inside.job(job).preparation(); }

  Inside inside;
  FakeWorker worker;
  std::string job;
  std::vector<v1::AssignTask> tasks;
  std::vector<std::string> parts;
};

TEST(Shards, SharePreparationsOutAndMergeThem) {
  Shards shards;
  ASSERT_EQ(shards.tasks.size(), 3u);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(shards.tasks[static_cast<size_t>(i)].preprocess().shards(), 3);
    EXPECT_EQ(shards.tasks[static_cast<size_t>(i)].preprocess().shard(), i);
    ASSERT_TRUE(shards.progress(shards.tasks[static_cast<size_t>(i)], i + 1, 13).ok());
  }
  shards.inside.clock.advance(seconds(1));
  shards.inside.scheduler->tick();
  EXPECT_EQ(shards.status().objects_done(), 6);
  EXPECT_EQ(shards.status().objects_total(), 39);
  for (const int i : {2, 0, 1}) ASSERT_TRUE(shards.part(shards.tasks[static_cast<size_t>(i)]).ok());
  const auto merge = shards.worker.link->assigned();
  ASSERT_TRUE(merge && merge->has_merge());
  ASSERT_EQ(merge->merge().parts_size(), 3);
  EXPECT_EQ(merge->merge().parts(0).artefact_id(), shards.parts[1]) << "by shard, not by time";
  EXPECT_EQ(shards.status().state(), v1::STAGE_STATE_RUNNING);
  ASSERT_TRUE(shards.merged(*merge).ok());
  EXPECT_EQ(shards.status().state(), v1::STAGE_STATE_SUCCEEDED);
  for (const std::string& part : shards.parts) EXPECT_FALSE(shards.kept(part));
  const auto train = shards.worker.link->assigned();
  ASSERT_TRUE(train && train->has_train());
  ASSERT_TRUE(shards.worker.trained(*train).ok());
  EXPECT_EQ(shards.inside.job(shards.job).state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(shards.inside.job(shards.job).cost().total_nanos(), 38 * 100'230'000LL + 100 * 8'337'000LL);
}

TEST(Shards, AreTriedAgainOneByOne) {
  Shards shards;
  ASSERT_TRUE(shards.part(shards.tasks[0]).ok());
  ASSERT_TRUE(shards.worker.failed(shards.tasks[1], /*permanent=*/false).ok());
  EXPECT_EQ(shards.status().state(), v1::STAGE_STATE_RUNNING);
  EXPECT_EQ(shards.status().error(), "it broke");
  shards.inside.clock.advance(seconds(2));
  shards.inside.scheduler->tick();
  const auto again = shards.worker.link->assigned();
  ASSERT_TRUE(again);
  EXPECT_EQ(again->preprocess().shard(), 1);
  EXPECT_EQ(again->lease().attempt(), 2);
  shards.inside.reopen();
  ASSERT_TRUE(shards.worker.attach({again->lease(), shards.tasks[2].lease()}).ok());
  ASSERT_TRUE(shards.part(*again).ok());
  ASSERT_TRUE(shards.part(shards.tasks[2]).ok());
  EXPECT_TRUE(shards.worker.link->assigned()->has_merge());
}

TEST(Shards, EndTogetherWhenOneCannotBeDone) {
  Shards shards;
  ASSERT_TRUE(shards.part(shards.tasks[0]).ok());
  ASSERT_TRUE(shards.worker.failed(shards.tasks[1], /*permanent=*/true).ok());
  EXPECT_EQ(shards.worker.link->cancelled()->lease().task_id(), shards.tasks[2].lease().task_id());
  const v1::Job job = shards.inside.job(shards.job);
  EXPECT_EQ(job.state(), v1::JOB_STATE_FAILED);
  EXPECT_EQ(job.error(), "preparation: it broke");
  EXPECT_EQ(job.denoisers(0).state(), v1::STAGE_STATE_SKIPPED);
  EXPECT_FALSE(shards.kept(shards.parts[0]));
}

TEST(Shards, AreCancelledAtWorkAndWhileMerging) {
  for (const bool merging : {false, true}) {
    SCOPED_TRACE(merging);
    Shards shards;
    std::vector<v1::AssignTask> running = shards.tasks;
    if (merging) {
      for (const auto& task : shards.tasks) ASSERT_TRUE(shards.part(task).ok());
      running = {*shards.worker.link->assigned()};
    } else {
      ASSERT_TRUE(shards.part(running[0]).ok());
      running.erase(running.begin());
    }
    EXPECT_EQ(shards.inside.desk->cancel(kLocalTenant, shards.job)->state(), v1::JOB_STATE_CANCELLING);
    for (const auto& task : running) {
      EXPECT_EQ(shards.inside.job(shards.job).state(), v1::JOB_STATE_CANCELLING);
      ASSERT_TRUE(shards.worker.stopped(task).ok());
    }
    EXPECT_EQ(shards.inside.job(shards.job).state(), v1::JOB_STATE_CANCELLED);
    for (const std::string& part : shards.parts) EXPECT_FALSE(shards.kept(part));
  }
}

TEST(Shards, AreNotMadeOfAnUnknownNumberOfObjectsOrForOneSlot) {
  Inside inside;
  FakeWorker worker(inside, kWorkerA, /*slots=*/3);
  ASSERT_TRUE(worker.attach().ok());
  inside.submit();
  EXPECT_EQ(worker.link->assigned()->preprocess().shards(), 1);
  Inside narrow;
  FakeWorker single(narrow, kWorkerA);
  ASSERT_TRUE(single.attach().ok());
  v1::SubmitJobRequest request = narrow.request("shared-request", {kSs});
  request.set_expected_objects(400);
  ASSERT_TRUE(narrow.desk->submit(kLocalTenant, request).ok());
  EXPECT_EQ(single.link->assigned()->preprocess().shards(), 1);
}

TEST(Shards, ResultsOfAnotherKindFailTheAttempt) {
  Shards shards;
  v1::WorkerMessage message;
  *message.mutable_task_finished()->mutable_lease() = shards.tasks[0].lease();
  message.mutable_task_finished()->mutable_preprocessed()->set_artefact_id(
      shards.inside.store(v1::ARTEFACT_KIND_PREPARED_DATASET, "whole", &shards.tasks[0].lease()));
  ASSERT_TRUE(shards.worker.report(message).ok());
  EXPECT_THAT(shards.status().error(), ::testing::HasSubstr("not a ARTEFACT_KIND_DATASET_PART"));
}

}  // namespace
}  // namespace espalier::coordinator
