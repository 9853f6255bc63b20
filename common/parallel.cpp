#include "common/parallel.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "common/cores.h"

namespace espalier {

int worker_count(int threads, size_t tasks) {
  const int wanted = threads > 0 ? threads : usable_cores();
  return std::max(1, static_cast<int>(std::min(static_cast<size_t>(wanted), tasks)));
}

void parallel_for(size_t tasks, int workers, const std::function<void(size_t task, int worker)>& work) {
  std::atomic<size_t> next{0};
  const auto run = [&](int worker) {
    for (size_t task = next++; task < tasks; task = next++) work(task, worker);
  };
  std::vector<std::thread> threads;
  for (int worker = 1; worker < workers; ++worker) threads.emplace_back(run, worker);
  run(0);
  for (std::thread& thread : threads) thread.join();
}

}  // namespace espalier
