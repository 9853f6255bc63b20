#include "tests/faults/plan.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/philox.h"
#include "tests/faults/simulated_programs.h"

namespace espalier::faults {
namespace {

constexpr int kMostRanks = 3;  // the first worker, which is never lost, has room for them

class Draw {
 public:
  explicit Draw(uint64_t seed) : random_(seed, 1) { plan_.seed = seed; }

  Plan run() {
    plan_.tenants = between(1, 3);
    for (int i = between(1, 2); i > 0; --i) {
      plan_.archives.push_back(make_archive(absl::StrCat(plan_.seed, "-", i), between(1, 12)));
    }
    for (int i = between(1, 4); i > 0; --i) plan_.jobs.push_back(job());
    for (int i = between(1, 4); i > 0; --i) plan_.workers.push_back(worker());
    for (int i = between(0, 4); i > 0; --i) plan_.faults.push_back(fault());
    std::sort(plan_.faults.begin(), plan_.faults.end(),
              [](const auto& a, const auto& b) { return a.after_ms < b.after_ms; });
    for (int i = between(0, 2); i > 0; --i) plan_.failpoints.push_back(failpoint());
    plan_.spare_failures = between(0, 4);
    return std::move(plan_);
  }

 private:
  bool chance(double probability) { return random_.uniform() < probability; }
  int between(int low, int high) {
    return low + static_cast<int>(random_.below(static_cast<uint32_t>(high - low + 1)));
  }

  Fate fate() { return chance(0.1) ? Fate::kFailsForGood : chance(0.04) ? Fate::kAlwaysFails : Fate::kSucceeds; }

  PlannedJob job() {
    PlannedJob job;
    const int index = static_cast<int>(plan_.jobs.size());
    job.tenant = between(0, plan_.tenants - 1);
    job.archive = between(0, static_cast<int>(plan_.archives.size()) - 1);
    job.request.set_request_id(absl::StrCat("request-", plan_.seed, "-", index));
    v1::TrainingSpec& spec = *job.request.mutable_spec();
    spec.set_seed(index);
    spec.set_steps(between(1, 3) * 50 + 50);
    spec.set_rank(16 << between(0, 2));
    spec.set_learning_rate(1e-4 * between(1, 50));
    spec.set_resolution(chance(0.5) ? 512 : 1024);
    spec.set_world_size(chance(0.3) ? between(2, kMostRanks) : 1);
    choose_denoisers(job, {1, 2, 3});
    if (index > 0 && chance(0.4)) reuse(job, index);
    if (job.source == PlannedJob::Source::kArchive) {
      job.preparation = fate();
      job.request.set_expected_objects(objects_in(plan_.archives[static_cast<size_t>(job.archive)]));
    }
    job.submit_after_ms = between(0, 300);
    job.submits = chance(0.3) ? between(2, 6) : 1;
    if (chance(0.2)) job.cancel_after_ms = between(0, 600);
    job.request.set_priority(static_cast<v1::Priority>(between(0, 3)));
    return job;
  }

  void choose_denoisers(PlannedJob& job, std::vector<int> from) {
    job.training.clear();
    job.request.mutable_spec()->clear_denoisers();
    const int count = between(1, static_cast<int>(from.size()));
    for (int i = 0; i < count; ++i) {
      const auto chosen = from.begin() + between(0, static_cast<int>(from.size()) - 1);
      job.request.mutable_spec()->add_denoisers(static_cast<v1::Denoiser>(*chosen));
      job.training[*chosen] = fate();
      from.erase(chosen);
    }
  }

  // Takes the dataset of an earlier job of the same tenant that prepares one.
  void reuse(PlannedJob& job, int index) {
    const int earlier = between(0, index - 1);
    PlannedJob& source = plan_.jobs[static_cast<size_t>(earlier)];
    if (source.source != PlannedJob::Source::kArchive) return;
    source.preparation = Fate::kSucceeds;  // there must be one
    source.cancel_after_ms.reset();
    job.tenant = source.tenant;
    job.archive = source.archive;
    job.earlier = earlier;
    job.request.mutable_spec()->set_resolution(source.request.spec().resolution());
    job.source = chance(0.5) ? PlannedJob::Source::kDatasetById : PlannedJob::Source::kDatasetByZip;
    if (job.source == PlannedJob::Source::kDatasetByZip) return;  // one that lacks a denoiser fails that denoiser
    const auto& ready = source.request.spec().denoisers();
    choose_denoisers(job, {ready.begin(), ready.end()});
  }

  PlannedWorker worker() {
    PlannedWorker worker;
    worker.slots = plan_.workers.empty() ? kMostRanks : between(1, 3);
    worker.keeps_disk = chance(0.7);
    if (chance(0.4)) worker.duplicated = 0.2;
    if (chance(0.3)) worker.swapped = 0.05;
    if (chance(0.4)) worker.cut = 0.3;
    if (chance(0.4)) worker.child_failure = 0.05;
    return worker;
  }

  PlannedFault fault() {
    using Kind = PlannedFault::Kind;
    PlannedFault fault;
    const Kind kinds[] = {Kind::kKillCoordinator, Kind::kKillCoordinator, Kind::kKillWorker, Kind::kKillWorker,
                          Kind::kLoseWorker,      Kind::kStopWorker,      Kind::kDropStream, Kind::kHangWorker};
    fault.kind = kinds[between(0, std::size(kinds) - 1)];
    fault.worker = between(0, static_cast<int>(plan_.workers.size()) - 1);
    if (fault.kind == Kind::kLoseWorker && fault.worker == 0) fault.kind = Kind::kKillWorker;
    fault.after_ms = between(20, 900);
    fault.duration_ms = fault.kind == Kind::kHangWorker ? between(200, 3500) : between(0, 250);
    return fault;
  }

  std::string failpoint() {
    const int times = between(1, 60);
    switch (between(0, 5)) {
      case 0:
        return absl::StrCat("database.commit=exit@", times);
      case 1:
        return absl::StrCat("database.committed=exit@", times);
      case 2:
        return absl::StrCat("blob.synced=exit@", between(1, 8));
      case 3:
        return absl::StrCat("blob.stored=exit@", between(1, 8));
      case 4:
        return absl::StrCat("database.commit=fail@", times, "-", times + between(0, 3));
      default: {
        const int first = between(1, 12);
        return absl::StrCat("blob.write=fail@", first, "-", first + between(0, 2));
      }
    }
  }

  Plan plan_;
  PhiloxStream random_;
};

const char* name(Fate fate) {
  return fate == Fate::kSucceeds ? "succeeds" : fate == Fate::kFailsForGood ? "fails" : "always fails";
}

const char* name(PlannedFault::Kind kind) {
  switch (kind) {
    case PlannedFault::Kind::kKillCoordinator:
      return "kill the coordinator";
    case PlannedFault::Kind::kKillWorker:
      return "kill worker";
    case PlannedFault::Kind::kLoseWorker:
      return "lose worker";
    case PlannedFault::Kind::kStopWorker:
      return "stop worker";
    case PlannedFault::Kind::kDropStream:
      return "drop the stream of worker";
    case PlannedFault::Kind::kHangWorker:
      return "hang worker";
  }
  return "?";
}

std::string describe(const PlannedJob& job, size_t index) {
  std::string out = absl::StrCat("  job ", index, ": tenant ", job.tenant, ", after ", job.submit_after_ms, " ms, ",
                                 job.submits, " submits, ");
  if (job.source == PlannedJob::Source::kArchive)
    absl::StrAppend(&out, "archive ", job.archive, " (", name(job.preparation), ")");
  else
    absl::StrAppend(&out, job.source == PlannedJob::Source::kDatasetById ? "id" : "zip", " of job ", job.earlier);
  absl::StrAppend(&out, ", resolution ", job.request.spec().resolution(), ", ranks ", job.request.spec().world_size());
  for (const int denoiser : job.request.spec().denoisers()) {
    absl::StrAppend(&out, ", denoiser ", denoiser, " ", name(job.training.at(denoiser)));
  }
  if (job.cancel_after_ms) absl::StrAppend(&out, ", cancelled after ", *job.cancel_after_ms, " ms");
  return out;
}

}  // namespace

Plan draw_plan(uint64_t seed) { return Draw(seed).run(); }

std::string describe(const Plan& plan) {
  std::vector<std::string> lines;
  for (size_t i = 0; i < plan.jobs.size(); ++i) lines.push_back(describe(plan.jobs[i], i));
  for (size_t i = 0; i < plan.workers.size(); ++i) {
    lines.push_back(absl::StrCat("  worker ", i, ": ", plan.workers[i].slots, " slots",
                                 plan.workers[i].keeps_disk ? "" : ", loses its disk"));
  }
  for (const PlannedFault& fault : plan.faults) {
    lines.push_back(absl::StrCat("  after ", fault.after_ms, " ms: ", name(fault.kind), " ", fault.worker, " for ",
                                 fault.duration_ms, " ms"));
  }
  for (const std::string& failpoint : plan.failpoints) lines.push_back("  a life with " + failpoint);
  return absl::StrJoin(lines, "\n");
}

}  // namespace espalier::faults
