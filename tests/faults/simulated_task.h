#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/philox.h"
#include "tests/faults/connection.h"
#include "tests/faults/simulated_programs.h"
#include "tests/faults/world.h"

namespace espalier::faults {

// What a worker keeps between its lives.
struct Machine {
  std::string worker_id;
  PlannedWorker plan;
  std::map<std::string, std::string> disk;  // newest checkpoint, by task id
  PhiloxStream random;
};

// One leased task on a simulated worker, taken forward in small steps between which anything may happen.
// Used on one thread.
class SimulatedTask {
 public:
  using Report = std::function<uint64_t(v1::WorkerMessage)>;  // returns the report's sequence number

  SimulatedTask(World& world, Machine& machine, v1::AssignTask assignment, Report report)
      : world_(world), machine_(machine), assignment_(std::move(assignment)), report_(std::move(report)) {}

  // The next small step; nothing when the task has ended here.
  void advance(const Connection& connection);
  // Stops where it is, unless its end is reported already.
  void hand_back();
  // What a worker does that was away for so long that its lease has ended, and does not know: it tells the end of the
  // task under the old lease.
  void finish_late(const Connection& connection);
  // The attempt ends here without a report; a gang's other members notice. Whether it was one's member.
  bool abandon();

  const v1::TaskLease& lease() const { return assignment_.lease(); }
  uint64_t finished_seq() const { return finished_seq_; }  // 0: not reported yet

 private:
  enum class Phase { kFetch, kRendezvous, kWork, kStore, kFinish, kEnded };

  bool is_gang() const { return assignment_.has_train() && assignment_.train().has_gang(); }
  bool is_leader() const { return lease().member() == 0; }
  Fate fate() const;

  void fetch(const Connection& connection);
  bool fetch_one(const Connection& connection, const std::string& artefact_id, std::string& into);
  void begin_training();
  void meet();
  void work(const Connection& connection);
  void train(const Connection& connection);
  void follow();
  void save_checkpoint(const Connection& connection);
  Status store(const Connection& connection);
  void store_or_fail(const Connection& connection);
  void finish();
  bool child_fails();

  void started(int step);
  void fail(bool permanent, const std::string& message);
  void report_end(v1::TaskFinished finished);
  v1::PreprocessResult preparation_result() const;
  Result<v1::Artefact> upload(const Connection& connection, v1::ArtefactKind kind, const std::string& name,
                              const std::string& bytes);

  World& world_;
  Machine& machine_;
  const v1::AssignTask assignment_;
  const Report report_;
  Phase phase_ = Phase::kFetch;
  std::vector<std::string> inputs_;
  std::string checkpoint_;
  std::unique_ptr<Training> training_;
  int pieces_ = 0;  // of work done
  bool met_ = false;
  std::string output_;
  v1::Artefact stored_;
  uint64_t finished_seq_ = 0;
};

}  // namespace espalier::faults
