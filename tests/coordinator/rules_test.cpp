#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "coordinator/config.h"
#include "coordinator/jobs/job_state.h"
#include "coordinator/jobs/job_validator.h"

namespace espalier::coordinator {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

v1::SubmitJobRequest good_request() {
  v1::SubmitJobRequest request;
  request.set_request_id("0b2d7f6e-1111-4222-8333-444455556666");
  request.mutable_spec()->set_artefact_id("art_00000000000000000000000000");
  request.mutable_spec()->add_denoisers(v1::DENOISER_SPARSE_STRUCTURE);
  return request;
}

std::vector<FieldFault> faults_of(const std::function<void(v1::SubmitJobRequest&)>& change) {
  v1::SubmitJobRequest request = good_request();
  change(request);
  *request.mutable_spec() = with_defaults(request.spec(), BaseConfig());
  BaseConfig base;
  base.denoisers = {"sparse_structure", "geometry"};
  return validate_submit(request, base);
}

TEST(JobValidator, AcceptsEveryEndOfEveryRange) {
  using Request = v1::SubmitJobRequest;
  const std::function<void(Request&)> changes[] = {
      [](Request&) {},
      [](Request& r) { r.mutable_spec()->set_rank(16); },
      [](Request& r) { r.mutable_spec()->set_rank(64); },
      [](Request& r) { r.mutable_spec()->set_steps(100); },
      [](Request& r) { r.mutable_spec()->set_steps(10'000); },
      [](Request& r) { r.mutable_spec()->set_learning_rate(1e-6); },
      [](Request& r) { r.mutable_spec()->set_learning_rate(1e-2); },
      [](Request& r) { r.mutable_spec()->set_batch_size(64); },
      [](Request& r) { r.mutable_spec()->set_dataset_id("dat_00000000000000000000000000"); },
  };
  for (const auto& change : changes) EXPECT_THAT(faults_of(change), IsEmpty());
}

TEST(JobValidator, NamesTheFieldOfEveryFault) {
  using Request = v1::SubmitJobRequest;
  struct Row {
    std::function<void(Request&)> change;
    const char* field;
    const char* says;
  };
  const Row rows[] = {
      {[](Request& r) { r.mutable_spec()->clear_source(); }, "spec.source", "must be set"},
      {[](Request& r) { r.mutable_spec()->set_artefact_id("https://x/a.zip"); }, "spec.artefact_id", "upload it"},
      {[](Request& r) { r.mutable_spec()->set_artefact_id("art_1"); }, "spec.artefact_id", "art_"},
      {[](Request& r) { r.mutable_spec()->set_dataset_id("x"); }, "spec.dataset_id", "dat_"},
      {[](Request& r) { r.mutable_spec()->clear_denoisers(); }, "spec.denoisers", "1 to 3"},
      {[](Request& r) { r.mutable_spec()->add_denoisers(v1::DENOISER_SPARSE_STRUCTURE); }, "spec.denoisers[1]",
       "twice"},
      {[](Request& r) { r.mutable_spec()->set_denoisers(0, static_cast<v1::Denoiser>(9)); }, "spec.denoisers[0]",
       "9 is not a denoiser"},
      {[](Request& r) { r.mutable_spec()->set_denoisers(0, v1::DENOISER_UNSPECIFIED); }, "spec.denoisers[0]",
       "not a denoiser"},
      {[](Request& r) { r.mutable_spec()->set_denoisers(0, v1::DENOISER_TEXTURE); }, "spec.denoisers[0]",
       "nano has no texture to train; it has sparse_structure"},
      {[](Request& r) { r.mutable_spec()->set_resolution(513); }, "spec.resolution", "512 or 1024"},
      {[](Request& r) { r.mutable_spec()->set_resolution(1024); }, "spec.resolution", "has only 512"},
      {[](Request& r) { r.mutable_spec()->set_rank(17); }, "spec.rank", "17 is not 16, 32 or 64"},
      {[](Request& r) { r.mutable_spec()->set_steps(99); }, "spec.steps", "99 is not in 100 to 10000"},
      {[](Request& r) { r.mutable_spec()->set_steps(10'001); }, "spec.steps", "10001"},
      {[](Request& r) { r.mutable_spec()->set_learning_rate(0); }, "spec.learning_rate", "0 is not in 1e-6 to 1e-2"},
      {[](Request& r) { r.mutable_spec()->set_learning_rate(0.011); }, "spec.learning_rate", "0.011"},
      {[](Request& r) { r.mutable_spec()->set_learning_rate(std::numeric_limits<double>::quiet_NaN()); },
       "spec.learning_rate", "nan"},
      {[](Request& r) { r.mutable_spec()->set_seed(-1); }, "spec.seed", "negative"},
      {[](Request& r) { r.mutable_spec()->set_batch_size(65); }, "spec.batch_size", "65"},
      {[](Request& r) { r.mutable_spec()->add_holdout_views(16); }, "spec.holdout_views[0]", "0 to 15"},
      {[](Request& r) { r.mutable_spec()->set_checkpoint_interval_steps(9); }, "spec.checkpoint_interval_steps", "9"},
      {[](Request& r) { r.set_request_id("short"); }, "request_id", "8 to 64"},
      {[](Request& r) { r.set_request_id("has a space"); }, "request_id", "8 to 64"},
      {[](Request& r) { r.set_name(std::string(201, 'n')); }, "name", "200"},
      {[](Request& r) { r.set_expected_objects(-1); }, "expected_objects", "-1"},
  };
  for (const Row& row : rows) {
    const auto faults = faults_of(row.change);
    ASSERT_EQ(faults.size(), 1u) << row.field;
    EXPECT_EQ(faults[0].field, row.field);
    EXPECT_THAT(faults[0].description, HasSubstr(row.says));
  }
}

TEST(JobValidator, WarnsOfALearningRateFarFromTheAdvice) {
  v1::TrainingSpec spec = with_defaults(good_request().spec(), BaseConfig());
  spec.set_learning_rate(1e-4);
  EXPECT_EQ(spec_warnings(spec, BaseConfig()).size(), 1u) << "1e-4 on a base that wants 2e-3";
  spec.set_learning_rate(1e-3);
  EXPECT_THAT(spec_warnings(spec, BaseConfig()), IsEmpty());
}

TEST(JobValidator, TakesTheLearningRateThatTheBaseRecommends) {
  BaseConfig base;
  base.recommended_learning_rate = 0;
  EXPECT_EQ(with_defaults({}, base).learning_rate(), 1e-4) << "it recommends none";
  base.recommended_learning_rate = 2e-3;
  const v1::TrainingSpec spec = with_defaults({}, base);
  EXPECT_EQ(spec.learning_rate(), 2e-3);
  EXPECT_THAT(spec_warnings(spec, base), IsEmpty());
  v1::TrainingSpec own;
  own.set_learning_rate(5e-4);
  EXPECT_EQ(with_defaults(own, base).learning_rate(), 5e-4);
}

TEST(JobState, NothingLeavesAFinalState) {
  for (int from = v1::JobState_MIN; from <= v1::JobState_MAX; ++from) {
    for (int to = v1::JobState_MIN; to <= v1::JobState_MAX; ++to) {
      if (!is_final(static_cast<v1::JobState>(from))) continue;
      EXPECT_FALSE(can_move(static_cast<v1::JobState>(from), static_cast<v1::JobState>(to)));
    }
  }
  for (int from = v1::StageState_MIN; from <= v1::StageState_MAX; ++from) {
    for (int to = v1::StageState_MIN; to <= v1::StageState_MAX; ++to) {
      if (!is_final(static_cast<v1::StageState>(from))) continue;
      EXPECT_FALSE(can_move(static_cast<v1::StageState>(from), static_cast<v1::StageState>(to)));
    }
  }
}

TEST(JobState, EveryStateThatIsNotFinalReachesAFinalOne) {
  for (int from = v1::JOB_STATE_QUEUED; from <= v1::JobState_MAX; ++from) {
    const auto state = static_cast<v1::JobState>(from);
    EXPECT_TRUE(is_final(state) || can_move(state, v1::JOB_STATE_CANCELLED)) << v1::JobState_Name(state);
  }
  for (int from = v1::STAGE_STATE_PENDING; from <= v1::StageState_MAX; ++from) {
    const auto state = static_cast<v1::StageState>(from);
    EXPECT_TRUE(is_final(state) || can_move(state, v1::STAGE_STATE_CANCELLED)) << v1::StageState_Name(state);
  }
  EXPECT_FALSE(can_move(v1::JOB_STATE_CANCELLING, v1::JOB_STATE_SUCCEEDED));
  EXPECT_FALSE(can_move(v1::JOB_STATE_QUEUED, v1::JOB_STATE_SUCCEEDED));
  EXPECT_FALSE(can_move(v1::STAGE_STATE_WAITING, v1::STAGE_STATE_SUCCEEDED));
}

TEST(CoordinatorConfig, TheShippedFileHoldsTheDefaults) {
  const auto config = load_coordinator_config(ESP_SOURCE_DIR "/configs/coordinator.yaml", {});
  ASSERT_TRUE(config.ok()) << config.status();
  CoordinatorConfig shipped = *config, defaults;
  ConfigTable shipped_table, default_table;
  describe(shipped, shipped_table);
  describe(defaults, default_table);
  EXPECT_EQ(shipped_table.print(), default_table.print());
}

TEST(CoordinatorConfig, WantsHeartbeatsWellInsideALease) {
  EXPECT_TRUE(absl::IsInvalidArgument(load_coordinator_config("", {{"lease.time", "10s"}}).status()));
  EXPECT_TRUE(load_coordinator_config("", {{"lease.time", "15s"}}).ok());
}

}  // namespace
}  // namespace espalier::coordinator
