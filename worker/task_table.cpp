#include "worker/task_table.h"

#include <set>

namespace espalier::worker {

TaskTable::~TaskTable() {
  stop_all();
  std::map<Key, std::shared_ptr<Entry>> entries;
  {
    const std::lock_guard lock(mutex_);
    entries.swap(entries_);
  }
}  // the threads are joined here

void TaskTable::Entry::end_in_silence() {
  const std::lock_guard lock(mutex);
  silent = true;
  thread.request_stop();
}

bool TaskTable::Entry::runs() {
  const std::lock_guard lock(mutex);
  return finished_seq == 0;
}

int TaskTable::free_slot() {
  std::set<int> taken;
  for (const auto& [key, entry] : entries_) {
    if (entry && entry->runs()) taken.insert(entry->slot);
  }
  int slot = 0;
  while (taken.count(slot) > 0) ++slot;
  return slot;
}

void TaskTable::assign(const v1::AssignTask& task) {
  const auto& lease = task.lease();
  auto entry = std::make_shared<Entry>();
  entry->lease = lease;
  const std::lock_guard lock(mutex_);
  for (auto it = entries_.lower_bound({lease.task_id(), 0}); it != entries_.end() && it->first.first == lease.task_id();
       ++it) {
    if (it->second->lease.fencing_token() < lease.fencing_token()) it->second->end_in_silence();
  }
  entry->slot = free_slot();
  auto& place = entries_[{lease.task_id(), lease.member()}];
  if (place && place->lease.fencing_token() >= lease.fencing_token()) return;  // a repeat
  auto before = std::exchange(place, entry);
  entry->thread =
      std::jthread([this, raw = entry.get(), task, before = std::move(before)](std::stop_token stop) mutable {
        run_entry(*raw, task, std::exchange(before, nullptr), std::move(stop));
      });
}

void TaskTable::run_entry(Entry& entry, const v1::AssignTask& task, const std::shared_ptr<Entry>& before,
                          std::stop_token stop) {
  if (before && before->thread.joinable()) before->thread.join();  // two attempts must not share the task's folder
  run_(
      task, [this, &entry](v1::WorkerMessage message) { report(entry, std::move(message)); },
      TaskControl{std::move(stop), entry.over, entry.slot});
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
  const auto it = entries_.find({cancel.lease().task_id(), cancel.lease().member()});
  if (it == entries_.end() || it->second->lease.fencing_token() > cancel.lease().fencing_token()) return;
  if (cancel.reason() == v1::CANCEL_REASON_LEASE_LOST) return it->second->end_in_silence();
  it->second->over = true;
  it->second->thread.request_stop();
}

void TaskTable::stop_all() {
  const std::lock_guard lock(mutex_);
  for (auto& [key, entry] : entries_) entry->thread.request_stop();
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
