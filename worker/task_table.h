#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "espalier/v1/worker.pb.h"
#include "worker/outbox.h"
#include "worker/task.h"

namespace espalier::worker {

// The tasks of this worker, each on its own thread, from assignment until its result is acknowledged. Thread-safe.
class TaskTable {
 public:
  // Runs one task to its end; blocks.
  using Run = std::function<void(const v1::AssignTask&, const Report&, const TaskControl&)>;

  // `outbox` must outlive the table.
  TaskTable(Run run, Outbox& outbox) : run_(std::move(run)), outbox_(outbox) {}
  ~TaskTable();  // stops what still runs and waits for it

  // A newer lease of a task that still runs here replaces all its members: they are stopped and report nothing, and the
  // same member begins when its predecessor has ended.
  void assign(const v1::AssignTask& task);
  // Unknown or older leases are ignored.
  void cancel(const v1::CancelTask& cancel);
  void stop_all();

  // What hello and heartbeat name: running, or finished and not acknowledged up to `acked`. Forgets the rest.
  std::vector<v1::TaskLease> leases(uint64_t acked);

 private:
  struct Entry {
    v1::TaskLease lease;
    int slot = 0;
    std::atomic<bool> over = false;
    std::mutex mutex;           // guards the two below
    bool silent = false;        // the lease is lost: report nothing
    uint64_t finished_seq = 0;  // of task_finished; 0: runs
    std::jthread thread;

    void end_in_silence();
    bool runs();
  };
  using Key = std::pair<std::string, int>;  // task id, member

  int free_slot();  // the lowest no running task has; mutex_ is held
  void report(Entry& entry, v1::WorkerMessage message);
  void run_entry(Entry& entry, const v1::AssignTask& task, const std::shared_ptr<Entry>& before, std::stop_token stop);

  Run run_;
  Outbox& outbox_;
  std::mutex mutex_;  // guards entries_
  std::map<Key, std::shared_ptr<Entry>> entries_;
};

}  // namespace espalier::worker
