#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/coordinator/fixtures.h"

// A job whose adapters are judged after their training.
namespace espalier::coordinator {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr int kObjects = 12;

class EvaluationTest : public testing::Test {
 protected:
  EvaluationTest() { EXPECT_TRUE(worker_.attach().ok()); }

  // A job with one denoiser, up to the assignment of its training.
  void train(bool evaluate = true, const std::vector<int>& holdout_views = {}) {
    auto request = inside_.request("request-evaluation", {v1::DENOISER_GEOMETRY});
    request.set_expected_objects(kObjects);
    request.mutable_spec()->set_evaluate(evaluate);
    for (const int view : holdout_views) request.mutable_spec()->add_holdout_views(view);
    const auto response = inside_.desk->submit(kLocalTenant, request);
    ASSERT_TRUE(response.ok()) << response.status();
    id_ = response->job().job_id();
    ASSERT_TRUE(worker_.prepared(*worker_.link->assigned(), kObjects).ok());
    const auto task = worker_.link->assigned();
    ASSERT_TRUE(task && task->has_train());
    task_ = *task;
  }

  // The adapter is there; the evaluation begins.
  void store_adapter() {
    v1::WorkerMessage message;
    *message.mutable_adapter_stored()->mutable_lease() = task_.lease();
    *message.mutable_adapter_stored()->mutable_result() = result();
    ASSERT_TRUE(worker_.report(message).ok());
  }

  v1::TrainResult result() {
    v1::TrainResult result;
    result.set_artefact_id(inside_.store(v1::ARTEFACT_KIND_ADAPTER, "adapter", &task_.lease()));
    result.set_validation_loss_after(0.25);
    return result;
  }

  static v1::Evaluation evaluation(double chamfer) {
    v1::Evaluation evaluation;
    evaluation.set_view(8);
    evaluation.set_objects(kObjects);
    for (const char* candidate : {"base", "adapters"}) {
      v1::EvaluationScores& scores = *evaluation.add_candidates();
      scores.set_candidate(candidate);
      scores.set_iou(0.5);
      scores.set_chamfer(chamfer);
    }
    return evaluation;
  }

  void finish(const v1::TrainResult& result) {
    v1::WorkerMessage message;
    *message.mutable_task_finished()->mutable_lease() = task_.lease();
    *message.mutable_task_finished()->mutable_trained() = result;
    ASSERT_TRUE(worker_.report(message).ok());
  }

  v1::Job job() { return inside_.job(id_); }

  // The job has its adapter, is paid as estimated, and says why there are no scores.
  void expect_trained_without_scores(const std::string& why) {
    const v1::Job done = job();
    EXPECT_EQ(done.state(), v1::JOB_STATE_SUCCEEDED);
    EXPECT_FALSE(done.denoisers(0).has_evaluation());
    EXPECT_FALSE(done.denoisers(0).has_evaluating());
    EXPECT_EQ(done.denoisers(0).adapter().validation_loss_after(), 0.25);
    EXPECT_EQ(done.cost().total_nanos(), done.estimate().total_nanos());
    EXPECT_THAT(done.warnings(), ElementsAre("geometry: the adapter was not evaluated: " + why));
    inside_.clock.advance(seconds(100));
    inside_.scheduler->tick();
    EXPECT_FALSE(worker_.link->assigned()) << "it must not be trained twice";
  }

  Inside inside_;
  FakeWorker worker_{inside_, kWorkerA};
  std::string id_;
  v1::AssignTask task_;
};

TEST_F(EvaluationTest, IsDoneFromAViewThatIsHeldOut) {
  train();
  EXPECT_EQ(task_.train().evaluation_view(), 8);
  EXPECT_THAT(task_.train().holdout_views(), ElementsAre(8));
  EXPECT_THAT(job().spec().holdout_views(), ElementsAre(8)) << "the job tells what it holds out";
}

TEST_F(EvaluationTest, TakesTheFirstViewThatTheJobHoldsOut) {
  train(true, {5, 3});
  EXPECT_EQ(task_.train().evaluation_view(), 5);
  EXPECT_THAT(task_.train().holdout_views(), ElementsAre(5, 3));
}

TEST_F(EvaluationTest, IsNotDoneUnasked) {
  train(false);
  EXPECT_FALSE(task_.train().has_evaluation_view());
  EXPECT_THAT(task_.train().holdout_views(), IsEmpty());
  finish(result());
  EXPECT_EQ(job().state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_THAT(job().warnings(), IsEmpty());
}

TEST_F(EvaluationTest, CostsNothing) {
  v1::EstimateJobRequest request;
  request.mutable_spec()->add_denoisers(v1::DENOISER_TEXTURE);
  request.set_objects(kObjects);
  const auto plain = inside_.desk->estimate(request);
  request.mutable_spec()->set_evaluate(true);
  const auto evaluated = inside_.desk->estimate(request);
  ASSERT_TRUE(plain.ok() && evaluated.ok());
  EXPECT_EQ(plain->SerializeAsString(), evaluated->SerializeAsString());
}

TEST_F(EvaluationTest, IsPartOfWhatARequestIdStandsFor) {
  train(false);
  auto request = inside_.request("request-evaluation", {v1::DENOISER_GEOMETRY});
  request.set_expected_objects(kObjects);
  EXPECT_TRUE(inside_.desk->submit(kLocalTenant, request)->duplicate());
  request.mutable_spec()->set_evaluate(true);
  EXPECT_TRUE(absl::IsAlreadyExists(inside_.desk->submit(kLocalTenant, request).status()));
}

TEST_F(EvaluationTest, ShowsTheAdapterTheProgressAndThenTheScores) {
  train();
  store_adapter();
  EXPECT_EQ(job().denoisers(0).state(), v1::STAGE_STATE_RUNNING);
  EXPECT_TRUE(job().denoisers(0).has_adapter()) << "it can be fetched already";
  ASSERT_TRUE(job().denoisers(0).has_evaluating());

  v1::WorkerMessage message;
  *message.mutable_evaluation_progress()->mutable_lease() = task_.lease();
  message.mutable_evaluation_progress()->mutable_progress()->set_candidate("base");
  message.mutable_evaluation_progress()->mutable_progress()->set_done(7);
  message.mutable_evaluation_progress()->mutable_progress()->set_total(kObjects);
  ASSERT_TRUE(worker_.report(message).ok());
  inside_.clock.advance(seconds(2));
  inside_.scheduler->tick();
  EXPECT_EQ(job().denoisers(0).evaluating().done(), 7);

  v1::TrainResult done = result();
  *done.mutable_evaluation() = evaluation(0.02);
  finish(done);
  const v1::Job ended = job();
  EXPECT_EQ(ended.state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_FALSE(ended.denoisers(0).has_evaluating());
  EXPECT_EQ(ended.denoisers(0).evaluation().SerializeAsString(), evaluation(0.02).SerializeAsString());
  EXPECT_THAT(ended.warnings(), IsEmpty());
  EXPECT_EQ(ended.cost().total_nanos(), ended.estimate().total_nanos());

  std::vector<int> kinds;
  const auto tail = inside_.desk->events(kLocalTenant, id_, 0);
  ASSERT_TRUE(tail.ok());
  for (const auto& event : tail->items) {
    if (event.has_adapter_ready() || event.has_evaluation_progress() || event.has_evaluation_ready()) {
      kinds.push_back(event.event_case());
    }
  }
  EXPECT_THAT(kinds, ElementsAre(v1::JobEvent::kAdapterReady, v1::JobEvent::kEvaluationProgress,
                                 v1::JobEvent::kEvaluationReady));
}

TEST_F(EvaluationTest, ThatFailsIsAWarning) {
  train();
  store_adapter();
  v1::TrainResult done = result();
  done.set_evaluation_error("out of memory");
  finish(done);
  expect_trained_without_scores("out of memory");
}

TEST_F(EvaluationTest, WithScoresThatAreNoNumbersIsAWarning) {
  train();
  store_adapter();
  v1::TrainResult done = result();
  *done.mutable_evaluation() = evaluation(std::numeric_limits<double>::quiet_NaN());
  finish(done);
  expect_trained_without_scores("the worker's scores are not usable");
}

TEST_F(EvaluationTest, DoesNotRepeatATrainingWhoseWorkerIsLost) {
  train();
  store_adapter();
  inside_.clock.advance(seconds(31));
  inside_.scheduler->tick();
  expect_trained_without_scores("the worker stopped answering");
}

TEST_F(EvaluationTest, DoesNotRepeatATrainingWhoseWorkerIsRestarted) {
  train();
  store_adapter();
  inside_.reopen();  // the coordinator knows it by then from its database
  FakeWorker restarted(inside_, kWorkerA, /*slots=*/1, /*epoch=*/2);
  ASSERT_TRUE(restarted.attach().ok());
  expect_trained_without_scores("the worker was restarted");
  EXPECT_FALSE(restarted.link->assigned());
}

TEST_F(EvaluationTest, EndsWhenItsWorkerStops) {
  train();
  store_adapter();
  ASSERT_TRUE(worker_.stopped(task_).ok());
  expect_trained_without_scores("its worker has stopped");
}

TEST_F(EvaluationTest, IsCancelledWithItsJobWhichKeepsTheAdapter) {
  train();
  store_adapter();
  ASSERT_EQ(inside_.desk->cancel(kLocalTenant, id_)->state(), v1::JOB_STATE_CANCELLING);
  EXPECT_TRUE(worker_.link->cancelled());
  ASSERT_TRUE(worker_.stopped(task_).ok());
  const v1::Job done = job();
  EXPECT_EQ(done.state(), v1::JOB_STATE_CANCELLED);
  EXPECT_EQ(done.denoisers(0).state(), v1::STAGE_STATE_SUCCEEDED) << "it is charged where completed stages are";
  EXPECT_TRUE(done.denoisers(0).has_adapter());
}

TEST_F(EvaluationTest, OfAnUnknownArtefactFailsTheAttempt) {
  train();
  v1::WorkerMessage message;
  *message.mutable_adapter_stored()->mutable_lease() = task_.lease();
  message.mutable_adapter_stored()->mutable_result()->set_artefact_id("art_00000000000000000000000000");
  ASSERT_TRUE(worker_.report(message).ok());
  EXPECT_EQ(job().denoisers(0).state(), v1::STAGE_STATE_WAITING);
  EXPECT_THAT(job().denoisers(0).error(), HasSubstr("not usable"));
}

}  // namespace
}  // namespace espalier::coordinator
