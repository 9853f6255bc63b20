#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <mutex>
#include <optional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/faults/scenario.h"
#include "tests/faults/simulated_programs.h"

namespace espalier::faults {
namespace {

constexpr uint64_t kScenarios = 200;
constexpr int kMostFailures = 6;
constexpr int kAtOnce = 6;  // scenarios mostly wait: for leases, restarts and each other

uint64_t number_from(const char* variable, uint64_t otherwise) {
  const char* value = std::getenv(variable);
  return value ? std::strtoull(value, nullptr, 10) : otherwise;
}

std::string summary(const Counters& counters, std::map<std::string, int> violations) {
  return absl::StrCat(
      "faults: scenarios=", counters.scenarios.load(), " coordinator_kills=", counters.coordinator_kills.load(),
      " worker_deaths=", counters.worker_deaths.load(), " member_deaths=", counters.member_deaths.load(),
      " child_failures=", counters.child_failures.load(), " dropped_streams=", counters.dropped_streams.load(),
      " zombies=", counters.zombies.load(), " duplicated_reports=", counters.duplicated_reports.load(),
      " swapped_reports=", counters.swapped_reports.load(), " cut_uploads=", counters.cut_uploads.load(),
      " full_disks=", counters.full_disks.load(), " cancels=", counters.cancels.load(),
      " repeated_submits=", counters.repeated_submits.load(), " lost=", violations["lost"],
      " wrong=", violations["wrong"], " mischarged=", violations["mischarged"],
      " unbalanced=", violations["unbalanced"]);
}

// Plays plans at the same time until `next` gives none; a failed one is printed with all that happened. A few failures
// tell enough: then no more are begun, as each may take until its jobs are given up.
template <class Next>
std::map<std::string, int> play(const Next& next, Counters& counters) {
  std::mutex mutex;  // guards the output, the sums and next
  std::map<std::string, int> violations;
  int failed = 0;
  const auto take = [&] {
    const std::lock_guard lock(mutex);
    return failed < kMostFailures ? next() : std::nullopt;
  };
  std::vector<std::jthread> threads;
  for (int i = 0; i < kAtOnce; ++i) {
    threads.emplace_back([&] {
      while (const std::optional<Plan> plan = take()) {
        const Verdict verdict = run_scenario(*plan, counters);
        ++counters.scenarios;
        const std::lock_guard lock(mutex);
        failed += verdict.violations.empty() ? 0 : 1;
        for (const auto& [kind, count] : verdict.violations) violations[kind] += count;
        EXPECT_TRUE(verdict.violations.empty()) << verdict.report;
      }
    });
  }
  threads.clear();
  return violations;
}

// ESPALIER_FAULT_SCENARIOS: how many, 200 without. ESPALIER_FAULT_SEED: this one alone.
TEST(Faults, EveryScenarioEndsAsPlannedWhateverIsKilled) {
  const uint64_t only = number_from("ESPALIER_FAULT_SEED", 0);
  const uint64_t scenarios = only != 0 ? 1 : number_from("ESPALIER_FAULT_SCENARIOS", kScenarios);
  uint64_t seed = only != 0 ? only : 1;
  const uint64_t end = seed + scenarios;
  Counters counters;
  const auto next = [&] { return seed < end ? std::optional(draw_plan(seed++)) : std::nullopt; };
  const auto violations = play(next, counters);
  std::cout << summary(counters, violations) << std::endl;
}

// One job from its archive to its adapter, and nothing that happens by chance.
Plan quiet_plan(uint64_t seed) {
  Plan plan;
  plan.seed = seed;
  plan.archives = {make_archive("quiet", 3)};
  PlannedJob job;
  job.request.set_request_id("request-quiet");
  job.request.set_expected_objects(3);
  v1::TrainingSpec& spec = *job.request.mutable_spec();
  spec.add_denoisers(v1::DENOISER_GEOMETRY);
  spec.set_resolution(512);
  spec.set_rank(32);
  spec.set_learning_rate(1e-4);
  spec.set_steps(100);
  job.training[v1::DENOISER_GEOMETRY] = Fate::kSucceeds;
  plan.jobs.push_back(job);
  plan.workers.emplace_back();
  return plan;
}

// The coordinator dies just before and just after each of its commits, and at every artefact that it stores.
TEST(Faults, ADeathAtAnyCommitOfAJobChangesNothing) {
  constexpr uint64_t kFirstSeed = 50'000;  // away from the scenarios' own
  const std::pair<const char*, int> places[] = {
      {"database.commit", 40}, {"database.committed", 40}, {"blob.synced", 5}, {"blob.stored", 5}};
  std::vector<std::string> points;
  for (const auto& [place, times] : places) {
    for (int i = 1; i <= times; ++i) points.push_back(absl::StrCat(place, "=exit@", i));
  }
  size_t taken = 0;
  Counters counters;
  const auto violations = play(
      [&]() -> std::optional<Plan> {
        if (taken == points.size()) return std::nullopt;
        Plan plan = quiet_plan(kFirstSeed + taken);
        plan.failpoints = {points[taken++]};
        return plan;
      },
      counters);
  EXPECT_EQ(counters.scenarios, static_cast<int>(points.size()));
  EXPECT_TRUE(violations.empty());
  EXPECT_GT(counters.coordinator_kills, 20) << "most of these places must be reached in the life of one job";
}

// Of a hundred equal requests at the same time, also when the coordinator dies among them, one is a job.
TEST(Faults, ARequestSentAHundredTimesIsOneJob) {
  Counters counters;
  uint64_t seed = 60'000;
  const auto next = [&]() -> std::optional<Plan> {
    if (seed == 60'004) return std::nullopt;
    Plan plan = quiet_plan(seed++);
    plan.jobs[0].submits = 100;
    if (seed % 2 == 0) plan.failpoints = {"database.committed=exit@8"};
    return plan;
  };
  EXPECT_TRUE(play(next, counters).empty());
}

}  // namespace
}  // namespace espalier::faults
