#include "coordinator/metrics/worker_board.h"

namespace espalier::coordinator {

WorkerBoard::Entry::Entry(WorkerBoard& board, const v1::Hello& hello) : board_(board) {
  const std::lock_guard lock(board_.mutex_);
  key_ = board_.next_key_++;
  board_.workers_[key_] = {false, hello.slots(), hello.running_size(), board_.clock_.now_us()};
}

WorkerBoard::Entry::~Entry() {
  const std::lock_guard lock(board_.mutex_);
  board_.workers_.erase(key_);
}

void WorkerBoard::Entry::heard(const v1::WorkerMessage& message) {
  const std::lock_guard lock(board_.mutex_);
  WorkerView& worker = board_.workers_[key_];
  worker.heard_us = board_.clock_.now_us();
  if (!message.has_heartbeat()) return;
  worker.draining = message.heartbeat().draining();
  worker.busy = message.heartbeat().running_size();
}

std::vector<WorkerView> WorkerBoard::workers() const {
  const std::lock_guard lock(mutex_);
  std::vector<WorkerView> out;
  for (const auto& [key, worker] : workers_) out.push_back(worker);
  return out;
}

}  // namespace espalier::coordinator
