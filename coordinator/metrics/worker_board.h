#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "coordinator/clock.h"
#include "espalier/v1/worker.pb.h"

namespace espalier::coordinator {

// One attached worker, as far as metrics tell of it.
struct WorkerView {
  bool draining = false;
  int slots = 0;
  int busy = 0;            // tasks it said it runs
  long long heard_us = 0;  // of its newest message
};

// What attached workers last said of themselves. Thread-safe.
class WorkerBoard {
 public:
  // `clock` must outlive the board.
  explicit WorkerBoard(const Clock& clock) : clock_(clock) {}

  // On the board while its stream is open.
  class Entry {
   public:
    Entry(WorkerBoard& board, const v1::Hello& hello);
    ~Entry();
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    void heard(const v1::WorkerMessage& message);

   private:
    WorkerBoard& board_;
    uint64_t key_ = 0;
  };

  std::vector<WorkerView> workers() const;

 private:
  const Clock& clock_;
  mutable std::mutex mutex_;  // guards the two below
  uint64_t next_key_ = 0;
  std::map<uint64_t, WorkerView> workers_;
};

}  // namespace espalier::coordinator
