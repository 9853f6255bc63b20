#include "client/job_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/exit_codes.h"

namespace espalier::client {
namespace {

using testing::HasSubstr;
using testing::Not;

v1::Job job_of(v1::StageState state) {
  v1::Job job;
  job.set_state(v1::JOB_STATE_TRAINING);
  v1::DenoiserStatus& status = *job.add_denoisers();
  status.set_denoiser(v1::DENOISER_GEOMETRY);
  status.set_state(state);
  return job;
}

TEST(Describe, TellsHowFarTheEvaluationIs) {
  v1::Job job = job_of(v1::STAGE_STATE_RUNNING);
  v1::EvaluationProgress& progress = *job.mutable_denoisers(0)->mutable_evaluating();
  EXPECT_THAT(describe(job), HasSubstr("  evaluating\n"));
  progress.set_candidate("adapters");
  progress.set_done(3);
  progress.set_total(12);
  EXPECT_THAT(describe(job), HasSubstr("  evaluating adapters 3/12\n"));
}

TEST(Describe, ShowsTheScoresThatThereAre) {
  v1::Job job = job_of(v1::STAGE_STATE_SUCCEEDED);
  v1::Evaluation& evaluation = *job.mutable_denoisers(0)->mutable_evaluation();
  v1::EvaluationScores& base = *evaluation.add_candidates();
  base.set_candidate("base");
  base.set_iou(0.5);
  base.set_f1(0.25);
  v1::EvaluationScores& adapters = *evaluation.add_candidates();
  adapters = base;
  adapters.set_candidate("adapters");
  adapters.set_chamfer(0.0125);
  adapters.set_psnr(21.5);
  const std::string text = describe(job);
  EXPECT_THAT(text, HasSubstr("    base            IoU 0.500  F1 0.250\n"));
  EXPECT_THAT(text, HasSubstr("    adapters        IoU 0.500  F1 0.250  Chamfer 0.0125"));
  EXPECT_THAT(text, HasSubstr("PSNR 21.50"));
}

TEST(Describe, SaysNothingOfAnEvaluationThatIsNone) {
  const std::string text = describe(job_of(v1::STAGE_STATE_SUCCEEDED));
  EXPECT_THAT(text, Not(HasSubstr("evaluating")));
  EXPECT_THAT(text, Not(HasSubstr("IoU")));
}

TEST(Outcome, HasAnExitCodeForEveryEndOfAJob) {
  const std::pair<v1::JobState, int> rows[] = {
      {v1::JOB_STATE_SUCCEEDED, kExitOk},
      {v1::JOB_STATE_FAILED, kExitFailed},
      {v1::JOB_STATE_PARTIALLY_SUCCEEDED, kExitPartial},
      {v1::JOB_STATE_CANCELLED, kExitCancelled},
  };
  for (const auto& [state, code] : rows) {
    v1::Job job = job_of(v1::STAGE_STATE_FAILED);
    job.set_state(state);
    EXPECT_EQ(exit_code(outcome(job)), code) << state_text(state);
  }
}

TEST(Outcome, OfAPartNamesWhatFailed) {
  v1::Job job = job_of(v1::STAGE_STATE_FAILED);
  job.set_state(v1::JOB_STATE_PARTIALLY_SUCCEEDED);
  job.mutable_denoisers(0)->set_error("no gradient");
  EXPECT_THAT(std::string(outcome(job).message()), HasSubstr("geometry: no gradient"));
}

}  // namespace
}  // namespace espalier::client
