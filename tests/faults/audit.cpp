#include "tests/faults/audit.h"

#include <soci/soci.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/sha256.h"
#include "coordinator/storage/database.h"
#include "tests/faults/expectation.h"
#include "tests/faults/simulated_programs.h"

namespace espalier::faults {
namespace {

constexpr const char* kLost = "lost";
constexpr const char* kWrong = "wrong";
constexpr const char* kMischarged = "mischarged";

bool is_final(v1::JobState state) {
  return state == v1::JOB_STATE_SUCCEEDED || state == v1::JOB_STATE_PARTIALLY_SUCCEEDED ||
         state == v1::JOB_STATE_FAILED || state == v1::JOB_STATE_CANCELLED;
}

// One job as its tenant has seen it.
class OutcomeAudit {
 public:
  OutcomeAudit(World& world, size_t job, const JobOutcome& outcome)
      : world_(world), plan_(world.plan), job_(job), outcome_(outcome) {}

  void run() {
    if (!outcome_.ended) return violation(kLost, "has not ended");
    const v1::JobState state = outcome_.job.state();
    if (state == v1::JOB_STATE_CANCELLED && outcome_.cancel_asked) {
      check_charge(0);
      return check_events(0);
    }
    if (const auto wanted = expected_state(plan_, job_); state != wanted) {
      return violation(kWrong, absl::StrCat("ended as ", v1::JobState_Name(state), ", expected ",
                                            v1::JobState_Name(wanted), ": ", outcome_.job.error()));
    }
    check_stages();
    check_charge(expected_cost(plan_, job_));
    check_events(static_cast<long>(outcome_.adapters.size()));
  }

 private:
  void violation(const char* kind, const std::string& what) {
    world_.violation(kind, absl::StrCat("job ", job_, " (", outcome_.job_id, ") ", what));
  }

  void check_stages() {
    const auto& wanted = plan_.jobs[job_].request.spec().denoisers();
    if (outcome_.job.denoisers_size() != wanted.size()) return violation(kWrong, "has other denoisers");
    for (int i = 0; i < wanted.size(); ++i) {
      const v1::DenoiserStatus& status = outcome_.job.denoisers(i);
      const auto denoiser = static_cast<v1::Denoiser>(wanted[i]);
      if (status.denoiser() != denoiser) violation(kWrong, "has its denoisers in another order");
      if (const auto state = expected_stage(plan_, job_, denoiser); status.state() != state) {
        violation(kWrong, absl::StrCat("denoiser ", denoiser, " is ", v1::StageState_Name(status.state()),
                                       ", expected ", v1::StageState_Name(state), ": ", status.error()));
      }
      if (status.has_adapter() != (status.state() == v1::STAGE_STATE_SUCCEEDED)) {
        violation(kWrong, absl::StrCat("denoiser ", denoiser, ": its adapter does not fit its state"));
      }
      if (status.has_adapter()) check_adapter(denoiser);
    }
  }

  void check_adapter(v1::Denoiser denoiser) {
    const auto found = outcome_.adapters.find(denoiser);
    const auto stamp = found == outcome_.adapters.end() ? std::nullopt : stamp_of(found->second);
    if (!stamp || found->second != expected_adapter(plan_, job_, denoiser, *stamp)) {
      violation(kWrong, absl::StrCat("denoiser ", denoiser, " has an adapter of something else"));
    }
  }

  void check_charge(int64_t expected) {
    const v1::Cost& cost = outcome_.job.cost();
    int64_t sum = 0;
    for (const auto& line : cost.lines()) sum += line.amount_nanos();
    if (cost.total_nanos() != expected || sum != expected) {
      violation(kMischarged, absl::StrCat("costs ", cost.total_nanos(), ", its lines ", sum, ", expected ", expected));
    }
    // What an archive turns out to be is not known at submit.
    const bool foreseeable = plan_.jobs[job_].source != PlannedJob::Source::kDatasetByZip;
    if (outcome_.job.state() == v1::JOB_STATE_SUCCEEDED && foreseeable &&
        cost.total_nanos() != outcome_.job.estimate().total_nanos()) {
      violation(kMischarged, absl::StrCat("costs ", cost.total_nanos(), ", its estimate was ",
                                          outcome_.job.estimate().total_nanos()));
    }
  }

  // The end came once and last, each adapter was announced once.
  void check_events(long adapters) {
    long ends = 0, announced = 0;
    for (const std::string& event : outcome_.events) {
      for (int state = 0; state <= v1::JobState_MAX; ++state) {
        if (is_final(static_cast<v1::JobState>(state)) && event == absl::StrCat("state ", state)) ++ends;
      }
      announced += event.rfind("adapter", 0) == 0 ? 1 : 0;
    }
    const std::string last = absl::StrCat("state ", static_cast<int>(outcome_.job.state()));
    if (ends != 1 || outcome_.events.back() != last)
      violation(kWrong, absl::StrCat("was told to have ended ", ends, " times"));
    const bool cancelled = outcome_.job.state() == v1::JOB_STATE_CANCELLED;
    if (!cancelled && announced != adapters) violation(kWrong, absl::StrCat(announced, " adapters were announced"));
  }

  World& world_;
  const Plan& plan_;
  const size_t job_;
  const JobOutcome& outcome_;
};

// What the database and the artefact store hold after the end.
class StorageAudit {
 public:
  StorageAudit(World& world, soci::session& sql, const std::filesystem::path& data_dir)
      : world_(world), sql_(sql), data_dir_(data_dir) {}

  void run(const std::vector<JobOutcome>& outcomes) {
    std::string integrity;
    sql_ << "PRAGMA integrity_check", soci::into(integrity);
    if (integrity != "ok") world_.violation(kLost, "the database is damaged: " + integrity);
    none(kLost, "rows point at others that are not there", "SELECT COUNT(*) FROM pragma_foreign_key_check");
    const auto submitted =
        std::count_if(outcomes.begin(), outcomes.end(), [](const auto& o) { return !o.job_id.empty(); });
    if (const int jobs = count("SELECT COUNT(*) FROM jobs"); jobs != submitted) {
      world_.violation(kWrong, absl::StrCat(jobs, " jobs are stored, ", submitted, " were submitted"));
    }
    check_attempts();
    check_artefacts();
  }

 private:
  int count(const std::string& query) {
    int value = 0;
    sql_ << query, soci::into(value);
    return value;
  }
  void none(const char* kind, const std::string& what, const std::string& query) {
    if (const int found = count(query); found != 0) world_.violation(kind, absl::StrCat(found, " ", what));
  }

  void check_attempts() {
    const std::string succeeded = absl::StrCat(static_cast<int>(v1::STAGE_STATE_SUCCEEDED));
    none(kLost, "attempts have no end", "SELECT COUNT(*) FROM attempts WHERE end_us = 0");
    none(kWrong, "tasks were ended by a stale attempt",
         "SELECT COUNT(*) FROM attempts a JOIN tasks t ON t.id = a.task_id WHERE a.outcome = 'succeeded' AND "
         "(a.attempt <> t.attempt OR a.fencing_token <> t.fencing_token)");
    none(kWrong, "tasks succeeded without exactly one attempt that did",
         "SELECT COUNT(*) FROM tasks t WHERE t.state = " + succeeded +
             " AND (SELECT COUNT(*) FROM attempts a WHERE a.task_id = t.id AND a.outcome = 'succeeded') <> 1");
    none(kWrong, "attempts have a fencing token that is not greater than that of the one before",
         "SELECT COUNT(*) FROM attempts a JOIN attempts b ON a.task_id = b.task_id AND a.attempt < b.attempt "
         "WHERE a.fencing_token >= b.fencing_token");
  }

  // Every artefact has its bytes, and an adapter's bytes are those of the attempt that ended its task.
  void check_artefacts() {
    const soci::rowset<soci::row> rows = (sql_.prepare << "SELECT id, sha256 FROM artefacts");
    for (const soci::row& row : rows) {
      const auto id = row.get<std::string>(0), sha256 = row.get<std::string>(1);
      const auto file = data_dir_ / "artefacts" / "sha256" / sha256.substr(0, 2) / sha256.substr(2, 2) / sha256;
      const auto digest = sha256_hex_of_file(file);
      if (!digest.ok() || *digest != sha256) world_.violation(kLost, "the bytes of artefact " + id + " are not there");
    }
  }

  World& world_;
  soci::session& sql_;
  const std::filesystem::path data_dir_;
};

// An adapter's stamp is the fencing token of the attempt that made it: it must be the one that ended the task.
void check_stamps(World& world, soci::session& sql, const std::vector<JobOutcome>& outcomes) {
  for (const JobOutcome& outcome : outcomes) {
    for (const auto& [denoiser, bytes] : outcome.adapters) {
      long long token = -1;
      sql << "SELECT fencing_token FROM tasks WHERE job_id = :job AND denoiser = :denoiser", soci::into(token),
          soci::use(outcome.job_id), soci::use(denoiser);
      if (stamp_of(bytes).value_or("") != absl::StrCat(token)) {
        world.violation(
            kWrong, absl::StrCat("denoiser ", denoiser, " of ", outcome.job_id, " has the adapter of another attempt"));
      }
    }
  }
}

}  // namespace

void audit_outcomes(World& world, const std::vector<JobOutcome>& outcomes) {
  for (size_t i = 0; i < outcomes.size(); ++i) OutcomeAudit(world, i, outcomes[i]).run();
}

void audit_storage(World& world, const std::filesystem::path& data_dir, const std::vector<JobOutcome>& outcomes) {
  const auto database = coordinator::Database::open(data_dir / "coordinator.db");
  if (!database.ok()) return world.violation(kLost, database.status().ToString());
  const Status status = (*database)->transaction([&](soci::session& sql) -> Status {
    StorageAudit(world, sql, data_dir).run(outcomes);
    check_stamps(world, sql, outcomes);
    return absl::OkStatus();
  });
  if (!status.ok()) world.violation(kLost, status.ToString());
}

}  // namespace espalier::faults
