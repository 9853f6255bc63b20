#include "worker/outbox.h"

#include <algorithm>

namespace espalier::worker {
namespace {

constexpr size_t kMaxWaitingLogs = 10'000;

}  // namespace

uint64_t Outbox::push(v1::WorkerMessage message) {
  const std::lock_guard lock(mutex_);
  if (message.has_logs() && waiting_.size() > kMaxWaitingLogs) return 0;
  message.set_seq(++last_);
  waiting_.push_back(std::move(message));
  changed_.notify_all();
  return last_;
}

std::optional<v1::WorkerMessage> Outbox::next(std::chrono::steady_clock::time_point until) {
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, until, [this] { return woken_ || sent_ < waiting_.size(); });
  woken_ = false;
  if (sent_ >= waiting_.size()) return std::nullopt;
  return waiting_[sent_++];
}

void Outbox::wake() {
  const std::lock_guard lock(mutex_);
  woken_ = true;
  changed_.notify_all();
}

void Outbox::acknowledge(uint64_t seq) {
  const std::lock_guard lock(mutex_);
  while (!waiting_.empty() && waiting_.front().seq() <= seq) {
    waiting_.pop_front();
    sent_ -= std::min<size_t>(sent_, 1);
  }
  acked_ = std::max(acked_, seq);
  changed_.notify_all();
}

void Outbox::rewind(uint64_t acked) {
  acknowledge(acked);
  const std::lock_guard lock(mutex_);
  sent_ = 0;
}

bool Outbox::empty() const {
  const std::lock_guard lock(mutex_);
  return waiting_.empty();
}

uint64_t Outbox::acked() const {
  const std::lock_guard lock(mutex_);
  return acked_;
}

}  // namespace espalier::worker
