#include "worker/task_table.h"

namespace espalier::worker {

TaskTable::~TaskTable() {
  stop_all();
  std::map<std::string, std::shared_ptr<Entry>> entries;
  {
    const std::lock_guard lock(mutex_);
    entries.swap(entries_);
  }
}  // the threads are joined here

void TaskTable::assign(const v1::AssignTask& task) {
  auto entry = std::make_shared<Entry>();
  entry->lease = task.lease();
  const std::lock_guard lock(mutex_);
  auto& slot = entries_[task.lease().task_id()];
  if (slot && slot->lease.fencing_token() >= task.lease().fencing_token()) return;  // a repeat
  auto before = std::exchange(slot, entry);
  if (before) {
    const std::lock_guard before_lock(before->mutex);
    before->silent = true;
    before->thread.request_stop();
  }
  entry->thread =
      std::jthread([this, raw = entry.get(), task, before = std::move(before)](std::stop_token stop) mutable {
        run_entry(*raw, task, std::exchange(before, nullptr), std::move(stop));
      });
}

void TaskTable::run_entry(Entry& entry, const v1::AssignTask& task, const std::shared_ptr<Entry>& before,
                          std::stop_token stop) {
  if (before && before->thread.joinable()) before->thread.join();  // two attempts must not share the task's folder
  run_(
      task, [this, &entry](v1::WorkerMessage message) { report(entry, std::move(message)); }, std::move(stop));
}

void TaskTable::report(Entry& entry, v1::WorkerMessage message) {
  const bool final = message.has_task_finished();
  const std::lock_guard lock(entry.mutex);
  if (entry.silent) {
    if (final) entry.finished_seq = 1;  // acknowledged as far as anyone cares
    return;
  }
  const uint64_t seq = outbox_.push(std::move(message));
  if (final) entry.finished_seq = seq;
}

void TaskTable::cancel(const v1::CancelTask& cancel) {
  const std::lock_guard lock(mutex_);
  const auto it = entries_.find(cancel.lease().task_id());
  if (it == entries_.end() || it->second->lease.fencing_token() > cancel.lease().fencing_token()) return;
  const std::lock_guard entry_lock(it->second->mutex);
  if (cancel.reason() == v1::CANCEL_REASON_LEASE_LOST) it->second->silent = true;
  it->second->thread.request_stop();
}

void TaskTable::stop_all() {
  const std::lock_guard lock(mutex_);
  for (auto& [id, entry] : entries_) entry->thread.request_stop();
}

std::vector<v1::TaskLease> TaskTable::leases(uint64_t acked) {
  std::vector<std::shared_ptr<Entry>> done;  // joined after the lock is released
  std::vector<v1::TaskLease> result;
  const std::lock_guard lock(mutex_);
  for (auto it = entries_.begin(); it != entries_.end();) {
    bool silent, ended;
    {
      const std::lock_guard entry_lock(it->second->mutex);
      silent = it->second->silent;
      ended = it->second->finished_seq != 0 && (silent || it->second->finished_seq <= acked);
    }
    if (ended) {
      done.push_back(std::move(it->second));
      it = entries_.erase(it);
      continue;
    }
    if (!silent) result.push_back(it->second->lease);
    ++it;
  }
  return result;
}

}  // namespace espalier::worker
