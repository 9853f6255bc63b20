#include "tests/faults/scenario.h"

#include <signal.h>
#include <unistd.h>

#include <deque>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/files.h"
#include "tests/faults/audit.h"
#include "tests/faults/coordinator_process.h"
#include "tests/faults/ledger_audit.h"
#include "tests/faults/simulated_worker.h"
#include "tests/faults/tenancy.h"
#include "tests/faults/tenant_client.h"

namespace espalier::faults {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::chrono::seconds kScenarioPatience{90};  // until every job must have ended
constexpr int kKilled = 137;                           // exit code of a kill and of a failpoint

// A loopback address of this process and seed alone: a port of 127.0.0.1 could be taken by anyone between two lives.
std::string own_address(uint64_t seed) {
  const auto process = static_cast<uint64_t>(::getpid());
  return absl::StrCat("127.", 1 + process % 250, ".", 1 + seed / 250 % 250, ".", 1 + seed % 250, ":",
                      10'000 + process / 250 % 20'000);
}

std::filesystem::path fast_folder() {
  const std::filesystem::path memory = "/dev/shm";  // a kill loses nothing of a file system in memory either
  return std::filesystem::is_directory(memory) ? memory : std::filesystem::path();
}

std::vector<std::string> settings() {
  return {absl::StrCat("lease.time=", kLease.count(), "ms"),
          "lease.heartbeat=300ms",
          "lease.cancel_grace=1s",
          "lease.retry_first=10ms",
          "lease.retry_longest=50ms",
          "lease.rendezvous=3s",
          "scheduling.gang_patience=200ms",
          "scheduling.shrink_after=300ms",
          "scheduling.objects_per_shard=3",
          absl::StrCat("lease.max_attempts=", kMaxAttempts),
          "base.denoisers=sparse_structure,geometry,texture",
          "base.resolutions=512,1024",
          "limits.min_free_disk=0B",
          "log.level=warning"};
}

class Scenario {
 public:
  Scenario(const Plan& plan, Counters& counters)
      : folder_(*TempDir::create("espalier-faults", fast_folder())),
        world_(plan, own_address(plan.seed), counters),
        coordinator_({folder_.path(), world_.address, settings()}),
        clients_(world_, Clock::now() + kScenarioPatience) {}

  Verdict run() {
    if (set_up()) play();
    close_the_books();
    audit_outcomes(world_, clients_.outcomes());
    audit_storage(world_, coordinator_.data_dir(), clients_.outcomes());
    Verdict verdict{world_.violations(), ""};
    if (!verdict.violations.empty()) {
      verdict.report =
          absl::StrCat("seed ", world_.plan.seed, "\n", describe(world_.plan), "\n",
                       absl::StrJoin(world_.timeline.lines(), "\n"), "\ncoordinator:\n", coordinator_.log_tail());
    }
    return verdict;
  }

 private:
  // Everything that a plan is free to disturb comes later.
  bool set_up() {
    Status status = coordinator_.start("");
    if (status.ok()) status = make_tenants(world_, coordinator_.data_dir());
    if (!status.ok()) world_.violation("lost", "the installation cannot be set up: " + status.ToString());
    if (!status.ok() || world_.plan.failpoints.empty()) return status.ok();
    coordinator_.kill_now();
    start_coordinator();
    return true;
  }

  // In a last life without faults.
  void close_the_books() {
    expect_end(coordinator_.stop());
    failpoint_.clear();
    const Status status = coordinator_.start("");
    if (status.ok()) audit_ledger(world_, clients_.outcomes());
    expect_end(coordinator_.stop());
  }

  void expect_end(int code) {
    const bool by_failpoint = code == kKilled && !failpoint_.empty();
    const bool too_early = code == 128 + SIGTERM;  // the signal came before it had its handlers
    if (code != 0 && !by_failpoint && !too_early)
      world_.violation("lost", absl::StrCat("the coordinator stopped with code ", code));
  }

  void start_coordinator() {
    const auto& all = world_.plan.failpoints;
    failpoint_ = life_ < all.size() ? all[life_] : "";
    ++life_;
    world_.timeline.add("the coordinator starts ", failpoint_);
    const Status status = coordinator_.start(failpoint_);
    if (!status.ok()) world_.violation("lost", status.ToString());
  }

  // Until every tenant has seen the end of its jobs.
  void play() {
    std::deque<SimulatedWorker> workers;
    for (size_t i = 0; i < world_.plan.workers.size(); ++i) workers.emplace_back(world_, i);
    std::atomic<size_t> open = world_.plan.jobs.size();
    std::vector<std::jthread> tenants;
    for (size_t i = 0; i < world_.plan.jobs.size(); ++i) {
      tenants.emplace_back([&, i] {
        clients_.run(i);
        --open;
      });
    }
    const auto start = Clock::now();
    size_t next = 0;
    while (open > 0) {
      const auto& faults = world_.plan.faults;
      for (; next < faults.size() && Clock::now() - start >= milliseconds(faults[next].after_ms); ++next) {
        commit(faults[next], workers);
      }
      if (!coordinator_.running()) revive();
      std::this_thread::sleep_for(milliseconds(3));
    }
  }

  void commit(const PlannedFault& fault, std::deque<SimulatedWorker>& workers) {
    using Kind = PlannedFault::Kind;
    SimulatedWorker& worker = workers[static_cast<size_t>(fault.worker)];
    const milliseconds duration(fault.duration_ms);
    world_.timeline.add("fault ", static_cast<int>(fault.kind), " of ", fault.worker, " for ", fault.duration_ms,
                        " ms");
    switch (fault.kind) {
      case Kind::kKillCoordinator:
        coordinator_.kill_now();
        std::this_thread::sleep_for(duration);
        return;
      case Kind::kKillWorker:
        ++world_.counters.worker_deaths;
        return worker.kill(duration);
      case Kind::kLoseWorker:
        ++world_.counters.worker_deaths;
        return worker.lose();
      case Kind::kStopWorker:
        return worker.stop(duration);
      case Kind::kDropStream:
        ++world_.counters.dropped_streams;
        return worker.drop_stream();
      case Kind::kHangWorker:
        return worker.hang(duration);
    }
  }

  void revive() {
    const int code = coordinator_.exit_code().value_or(0);
    // A start may be refused when the disk is full just then.
    const bool expected = code == kKilled || (code == 1 && absl::StrContains(failpoint_, "=fail@"));
    if (!expected) world_.violation("lost", absl::StrCat("the coordinator ended by itself with code ", code));
    ++world_.counters.coordinator_kills;
    start_coordinator();
  }

  const TempDir folder_;
  World world_;
  CoordinatorProcess coordinator_;
  TenantClients clients_;
  size_t life_ = 0;
  std::string failpoint_;  // of this life
};

}  // namespace

Verdict run_scenario(const Plan& plan, Counters& counters) { return Scenario(plan, counters).run(); }

}  // namespace espalier::faults
