#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <queue>
#include <random>
#include <string>
#include <vector>

#include "coordinator/scheduling/fair_share.h"
#include "coordinator/scheduling/placement.h"
#include "coordinator/scheduling/work_queue.h"
#include "tests/coordinator/denoisers.h"

namespace espalier::coordinator {
namespace {

constexpr long long kSecond = 1'000'000;
constexpr long long kMinute = 60 * kSecond;
constexpr Denoisers kAll = bit(v1::DENOISER_SPARSE_STRUCTURE) | bit(kGeo) | bit(kTex);

Seat seat(const std::string& id, int slots, Denoisers denoisers = kAll, const std::string& host = "") {
  return {id, host.empty() ? id : host, denoisers, slots, slots};
}

Capacity capacity_of(const std::vector<Seat>& seats) {
  Capacity capacity;
  for (const Seat& each : seats) capacity.add(each);
  return capacity;
}

// A queue and an easy way to fill it.
struct Waiting {
  explicit Waiting(SchedulingConfig config = {}) : queue(config) {}

  void job(const std::string& id, const std::string& tenant, long long submit_us,
           v1::Priority priority = v1::PRIORITY_NORMAL, v1::Denoiser denoiser = kGeo, int ranks = 1) {
    queue.add_job({id, tenant, priority, submit_us, ++number, false});
    WaitingTask task;
    task.id = id;
    task.job_id = id;
    task.denoiser = denoiser;
    task.ranks = ranks;
    queue.put(task);
  }
  // The task that starts now; empty when none does.
  std::string start(const Capacity& capacity, long long now_us) {
    const auto choice = queue.next(capacity, now_us);
    if (!choice) return "";
    queue.remove(choice->task.id);
    queue.begin_job(choice->task.job_id);
    queue.started(queue.tenant_of(choice->task.job_id), choice->ranks, now_us);
    return choice->task.id;
  }

  WorkQueue queue;
  long long number = 0;
};

TEST(FairShare, HalvesUsageEveryHalfLife) {
  FairShare shares(/*half_life_us=*/kMinute, /*horizon_us=*/0);
  shares.add("a", 2, 1, 1 + kSecond);
  shares.settle(1 + kSecond);
  EXPECT_NEAR(shares.usage("a", 1 + kSecond), 2, 0.02);
  EXPECT_NEAR(shares.usage("a", 1 + kSecond + 3 * kMinute), 2.0 / 8, 0.003);
  shares.change_running("b", 1, kSecond);
  shares.settle(kSecond + 100 * kMinute);
  EXPECT_NEAR(shares.usage("b", kSecond + 100 * kMinute), 60 / std::log(2.0), 0.01) << "the limit of a lasting rank";
}

TEST(FairShare, KeepsItsOrderOverThousandsOfHalfLives) {
  FairShare shares(kSecond, 0);
  for (int i = 0; i < 3; ++i) {
    const long long now_us = kSecond + i * 2000 * kSecond;
    shares.add("a", 3, now_us, now_us + kSecond);
    shares.add("b", 1, now_us, now_us + kSecond);
    shares.settle(now_us + kSecond);
    EXPECT_GT(shares.score("a"), shares.score("b"));
    EXPECT_TRUE(std::isfinite(shares.score("a")));
  }
}

TEST(Placement, TakesOneWorkerThenOneHostThenAsFewAsPossible) {
  const std::vector<Seat> seats = {seat("a", 2, kAll, "x"), seat("b", 3, kAll, "x"), seat("c", 4, kAll, "y")};
  EXPECT_EQ(place(seats, kGeo, 3, ""), (std::vector<size_t>{1, 1, 1})) << "the tightest worker that suffices";
  EXPECT_EQ(place(seats, kGeo, 5, ""), (std::vector<size_t>{1, 1, 1, 0, 0})) << "one host";
  EXPECT_EQ(place(seats, kGeo, 8, "").size(), 8u);
  EXPECT_TRUE(place(seats, kGeo, 10, "").empty()) << "all or nothing";
  EXPECT_EQ(place(seats, kGeo, 1, "a"), (std::vector<size_t>{0})) << "where its checkpoint is";
  EXPECT_EQ(place(seats, kGeo, 1, ""), (std::vector<size_t>{2})) << "the most free slots";
  EXPECT_EQ(place(seats, kGeo, 2, "c"), (std::vector<size_t>{2, 2}));
}

TEST(Placement, KeepsOffWorkersThatCannotOrMayNot) {
  const std::vector<Seat> seats = {seat("a", 4, bit(kGeo)), seat("b", 1, bit(kTex))};
  EXPECT_TRUE(place(seats, kTex, 2, "").empty());
  EXPECT_EQ(place(seats, v1::DENOISER_UNSPECIFIED, 1, "", kGeo), (std::vector<size_t>{1}));
}

TEST(WorkQueue, ServesATenantByPriorityAndSubmitTimeWithAgeing) {
  Waiting waiting;
  waiting.job("low", "t", 0, v1::PRIORITY_LOW);
  waiting.job("normal", "t", 10 * kMinute);
  waiting.job("high", "t", 20 * kMinute, v1::PRIORITY_HIGH);
  waiting.job("late", "t", 16 * kMinute);  // the low one has waited more than a step longer
  EXPECT_EQ(waiting.queue.position("high"), 0);
  EXPECT_EQ(waiting.queue.position("normal"), 1);
  EXPECT_EQ(waiting.queue.position("low"), 2);
  EXPECT_EQ(waiting.queue.position("late"), 3);
  const Capacity capacity = capacity_of({seat("w", 8)});
  std::vector<std::string> order;
  for (int i = 0; i < 4; ++i) order.push_back(waiting.start(capacity, 21 * kMinute));
  EXPECT_THAT(order, ::testing::ElementsAre("high", "normal", "low", "late"));
  EXPECT_EQ(waiting.queue.position("high"), -1);
}

TEST(WorkQueue, HoldsToTheLimitsOfATenantAndSaysWhich) {
  Waiting waiting;
  waiting.queue.set_share("t", {.weight = 1, .max_queued_jobs = 3, .max_running_jobs = 1, .max_ranks = 4});
  waiting.job("a", "t", 1);
  waiting.job("b", "t", 2);
  const Capacity capacity = capacity_of({seat("w", 8)});
  EXPECT_EQ(waiting.start(capacity, kSecond), "a");
  EXPECT_EQ(waiting.start(capacity, kSecond), "");
  EXPECT_EQ(waiting.queue.reason("b", capacity), "the tenant's limit of 1 running jobs");
  WaitingTask more;
  more.id = "a2";
  more.job_id = "a";
  more.denoiser = kTex;
  more.ranks = 4;
  waiting.queue.put(more);
  EXPECT_EQ(waiting.start(capacity, kSecond), "") << "1 + 4 ranks";
  EXPECT_EQ(waiting.queue.reason("a", capacity), "the tenant's limit of 4 ranks at the same time");
  waiting.queue.ended("t", 1, 2 * kSecond);
  EXPECT_EQ(waiting.start(capacity, 2 * kSecond), "a2");
  waiting.queue.ended("t", 4, 3 * kSecond);
  waiting.queue.end_job("a");
  EXPECT_TRUE(waiting.queue.admit("t"));
  EXPECT_TRUE(waiting.queue.admit("t"));
  EXPECT_FALSE(waiting.queue.admit("t")) << "one queued, two on their way";
  waiting.queue.settle_admission("t");
  EXPECT_TRUE(waiting.queue.admit("t"));
  EXPECT_EQ(waiting.start(capacity, 3 * kSecond), "b");
}

TEST(WorkQueue, LetsSmallTasksPassAGangUntilItsPatienceIsOver) {
  Waiting waiting;  // patience: 60 s
  waiting.job("gang", "t", 1, v1::PRIORITY_NORMAL, kGeo, 4);
  waiting.job("small", "t", 2);
  waiting.job("other", "t", 3);
  waiting.job("texture", "t", 4, v1::PRIORITY_NORMAL, kTex);
  Capacity capacity = capacity_of({seat("w", 4, bit(kGeo)), seat("x", 1, bit(kTex))});
  capacity.change_free(bit(kGeo), -3);
  EXPECT_EQ(waiting.start(capacity, 10 * kSecond), "small");
  EXPECT_EQ(waiting.queue.take_blocked().size(), 1u);
  EXPECT_EQ(waiting.start(capacity, 71 * kSecond), "texture") << "beside the slots that are held";
  EXPECT_EQ(waiting.start(capacity, 71 * kSecond), "") << "held for the gang";
  EXPECT_TRUE(waiting.queue.take_blocked().at(0).reserved);
  EXPECT_EQ(waiting.queue.reason("gang", capacity), "slots, which are being held for its gang of 4");
  capacity.change_free(bit(kGeo), 3);
  EXPECT_EQ(waiting.start(capacity, 72 * kSecond), "gang");
  EXPECT_EQ(waiting.start(capacity, 72 * kSecond), "other");
}

TEST(WorkQueue, HoldsNothingForAGangThatCanNeverFit) {
  Waiting waiting;
  waiting.job("gang", "t", 1, v1::PRIORITY_NORMAL, kGeo, 9);
  waiting.job("small", "t", 2);
  const Capacity capacity = capacity_of({seat("w", 4)});
  EXPECT_EQ(waiting.start(capacity, kSecond), "small");
  EXPECT_EQ(waiting.start(capacity, 3600 * kSecond), "");
  EXPECT_EQ(waiting.queue.reason("gang", capacity), "its gang of 9: the attached workers have 4 slots for it");
}

TEST(WorkQueue, ShrinksAnInterruptedGangAfterAWait) {
  Waiting waiting;  // waits 30 s
  waiting.queue.add_job({"j", "t", v1::PRIORITY_NORMAL, 1, 1, true});
  WaitingTask gang;
  gang.id = "g";
  gang.job_id = "j";
  gang.denoiser = kGeo;
  gang.ranks = 4;
  gang.interrupted = true;
  gang.not_before_us = kSecond;
  waiting.queue.put(gang);
  const Capacity capacity = capacity_of({seat("w", 3)});
  EXPECT_FALSE(waiting.queue.next(capacity, kSecond / 2)) << "its pause is not over";
  EXPECT_FALSE(waiting.queue.next(capacity, 30 * kSecond)) << "the others may come back";
  const auto choice = waiting.queue.next(capacity, 31 * kSecond);
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->ranks, 3);
  EXPECT_EQ(waiting.queue.next(capacity_of({seat("w", 9)}), 31 * kSecond)->ranks, 4) << "never more than asked for";
}

// A cluster under load: jobs of random sizes and lengths, always more than fit.
class Simulation {
 public:
  struct Run {
    std::string task, tenant;
    int ranks = 0;
    std::vector<size_t> places;
  };
  struct Outcome {
    std::map<std::string, double> rank_seconds;  // until the first tenant had nothing waiting
    long long longest_wait_us = 0;
    int started = 0, large_started = 0;
    std::vector<std::string> order;
  };

  explicit Simulation(unsigned seed) : random_(seed), waiting_(config()) {
    for (int w = 0; w < 16; ++w)
      seats_.push_back(seat("w" + std::to_string(100 + w), 4, kAll, "h" + std::to_string(w / 4)));
  }

  Outcome run(int tenants, int jobs_per_weight) {
    int number = 0;
    for (int t = 0; t < tenants; ++t) {
      const std::string tenant = "t" + std::to_string(10 + t);
      TenantShare share;
      share.weight = 1.0 + t % 5;
      waiting_.queue.set_share(tenant, share);
      for (int j = 0; j < jobs_per_weight * (1 + t % 5); ++j) add(tenant, number++);
    }
    std::map<std::string, int> left;
    for (const auto& [id, job] : jobs_) ++left[job.tenant];
    Outcome outcome;
    bool saturated = true;
    while (outcome.started < number || !ends_.empty()) {
      start_all(outcome, left);
      if (ends_.empty()) break;
      for (const auto& [tenant, count] : left) saturated &= count > 0;
      end_next(outcome, saturated);
    }
    return outcome;
  }

 private:
  struct Job {
    std::string tenant;
    int ranks = 1;
    long long length_us = 0;
  };
  static SchedulingConfig config() {
    SchedulingConfig config;
    config.gang_patience = std::chrono::minutes(5);
    return config;
  }

  void add(const std::string& tenant, int number) {
    const int sizes[] = {1, 1, 1, 1, 2, 2, 4, 8, 16, 32};
    Job job{tenant, sizes[random_() % 10], static_cast<long long>(1 + random_() % 10) * kMinute};
    if (number % 50 == 0) {  // the whole cluster
      job.ranks = 64;
      job.length_us = static_cast<long long>(1 + random_() % 3) * kMinute;
    }
    const std::string id = "j" + std::to_string(100'000 + number);
    jobs_[id] = job;
    const auto priority = static_cast<v1::Priority>(1 + random_() % 3);
    waiting_.job(id, tenant, 1 + number, priority, static_cast<v1::Denoiser>(1 + random_() % 3), job.ranks);
  }

  void start_all(Outcome& outcome, std::map<std::string, int>& left) {
    Capacity capacity = capacity_of(seats_);
    while (const auto choice = waiting_.queue.next(capacity, now_us_)) {
      const Job& job = jobs_.at(choice->task.id);
      Run run{choice->task.id, job.tenant, choice->ranks,
              place(seats_, choice->task.denoiser, choice->ranks, "", choice->held)};
      ASSERT_EQ(static_cast<int>(run.places.size()), job.ranks) << "all or nothing";
      for (const size_t at : run.places) {
        ASSERT_GE(--seats_[at].free, 0) << "a slot was given twice";
        capacity.change_free(seats_[at].denoisers, -1);
      }
      waiting_.queue.remove(run.task);
      waiting_.queue.begin_job(run.task);
      waiting_.queue.started(run.tenant, run.ranks, now_us_);
      outcome.longest_wait_us = std::max(outcome.longest_wait_us, now_us_);
      outcome.order.push_back(run.task);
      ++outcome.started;
      outcome.large_started += run.ranks == 64;
      --left[run.tenant];
      running_[run.task] = run;
      started_[run.task] = now_us_;
      ends_.emplace(now_us_ + job.length_us, run.task);
    }
  }

  void end_next(Outcome& outcome, bool counts) {
    const auto [at_us, task] = ends_.top();
    ends_.pop();
    const Run run = running_.at(task);
    if (counts) {
      for (const auto& [id, other] : running_) {
        outcome.rank_seconds[other.tenant] += other.ranks * static_cast<double>(at_us - now_us_) / kSecond;
      }
    }
    now_us_ = at_us;
    for (const size_t place : run.places) ++seats_[place].free;
    waiting_.queue.ended(run.tenant, run.ranks, now_us_);
    waiting_.queue.end_job(task);
    running_.erase(task);
  }

  std::mt19937 random_;
  Waiting waiting_;
  std::vector<Seat> seats_;
  std::map<std::string, Job> jobs_;
  std::map<std::string, Run> running_;
  std::map<std::string, long long> started_;
  std::priority_queue<std::pair<long long, std::string>, std::vector<std::pair<long long, std::string>>, std::greater<>>
      ends_;
  long long now_us_ = kSecond;
};

TEST(Policy, SharesASaturatedClusterByWeightAndStarvesNobody) {
  const Simulation::Outcome outcome = Simulation(1).run(/*tenants=*/20, /*jobs_per_weight=*/300);
  ASSERT_EQ(outcome.started, 18'000) << "every job has run";
  EXPECT_EQ(outcome.large_started, 360) << "gangs of the whole cluster among them";
  double total = 0, weights = 0;
  for (const auto& [tenant, seconds] : outcome.rank_seconds) total += seconds;
  for (int t = 0; t < 20; ++t) weights += 1.0 + t % 5;
  double worst = 0;
  for (int t = 0; t < 20; ++t) {
    const double share = outcome.rank_seconds.at("t" + std::to_string(10 + t)) / total;
    const double fair = (1.0 + t % 5) / weights;
    worst = std::max(worst, std::abs(share / fair - 1));
    EXPECT_NEAR(share / fair, 1, 0.05) << "tenant " << t;
  }
  RecordProperty("worst_relative_deviation", std::to_string(worst));
}

TEST(Policy, IsDeterministic) { EXPECT_EQ(Simulation(7).run(8, 40).order, Simulation(7).run(8, 40).order); }

TEST(Policy, ChoosesAmongAHundredThousandWithoutLookingAtAll) {
  Waiting waiting;
  for (int i = 0; i < 100'000; ++i) {
    waiting.job("j" + std::to_string(i), "t" + std::to_string(i % 500), 1 + i, v1::PRIORITY_NORMAL, kGeo, 1 + i % 4);
  }
  EXPECT_EQ(waiting.queue.position("j99999"), 199);
  const Capacity capacity = capacity_of({seat("w", 64)});
  std::vector<int> starts(500);
  for (int i = 0; i < 5000; ++i) {
    const std::string id = waiting.start(capacity, kSecond + i);
    ++starts[static_cast<size_t>(std::stoi(id.substr(1)) % 500)];
  }
  const auto [least, most] = std::minmax_element(starts.begin(), starts.end());
  EXPECT_GT(*least, 0);
  EXPECT_LE(*most - *least, 30) << "ranks, not tasks, are shared out evenly";
}

}  // namespace
}  // namespace espalier::coordinator
