#include "coordinator/jobs/change_board.h"

#include <utility>

namespace espalier::coordinator {

ChangeBoard::Watch::Watch(ChangeBoard& board, std::string job_id) : board_(board), job_id_(std::move(job_id)) {
  const std::lock_guard lock(board_.mutex_);
  Entry& entry = board_.entries_[job_id_];
  ++entry.watchers;
  seen_ = entry.version;
}

ChangeBoard::Watch::~Watch() {
  const std::lock_guard lock(board_.mutex_);
  const auto found = board_.entries_.find(job_id_);
  if (--found->second.watchers == 0) board_.entries_.erase(found);
}

bool ChangeBoard::Watch::wait(std::chrono::milliseconds timeout) {
  std::unique_lock lock(board_.mutex_);
  const Entry& entry = board_.entries_[job_id_];
  board_.changed_.wait_for(lock, timeout, [&] { return board_.closed_ || entry.version != seen_; });
  seen_ = entry.version;
  return !board_.closed_;
}

void ChangeBoard::changed(const std::string& job_id) {
  if (heard_) heard_(job_id);
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(job_id);
  if (found == entries_.end()) return;
  ++found->second.version;
  changed_.notify_all();
}

void ChangeBoard::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

}  // namespace espalier::coordinator
