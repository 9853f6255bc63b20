#pragma once

#include <cstddef>
#include <functional>

namespace espalier {

// Threads to use for `tasks` pieces of work; `threads` 0: one per core that may be used (common/cores.h).
int worker_count(int threads, size_t tasks);

// Calls work(task, worker) once for every task on `workers` threads, the caller's among them. Tasks start in order and
// end in any; a worker has one task at a time. `work` must not throw.
void parallel_for(size_t tasks, int workers, const std::function<void(size_t task, int worker)>& work);

}  // namespace espalier
