#include "infer/turn_queue.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace espalier::infer {

Result<TurnQueue::Turn> TurnQueue::wait(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  if (line_.size() > static_cast<size_t>(max_waiting_)) {
    return absl::ResourceExhaustedError(absl::StrCat(max_waiting_, " requests are waiting already; try again later"));
  }
  const uint64_t ticket = next_ticket_++;
  line_.push_back(ticket);
  if (changed_.wait(lock, stop, [&] { return line_.front() == ticket; })) return Turn(this);
  line_.erase(std::find(line_.begin(), line_.end(), ticket));
  changed_.notify_all();
  return absl::CancelledError("stopped on request while waiting for other requests");
}

void TurnQueue::leave() {
  const std::lock_guard lock(mutex_);
  line_.pop_front();
  changed_.notify_all();
}

}  // namespace espalier::infer
