#include "nn/layers/parallel.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <vector>

namespace espalier::nn {
namespace {

// With two threads for the life of a test.
class Parallel : public testing::Test {
 protected:
  Parallel() { at::set_num_threads(2); }
  ~Parallel() override { at::set_num_threads(before_); }

 private:
  int before_ = at::get_num_threads();
};

TEST_F(Parallel, RunsRangesAtTheSameTime) {
  std::mutex mutex;
  std::condition_variable changed;
  int begun = 0;
  parallel_for(2, 1, [&](int64_t begin, int64_t end) {
    EXPECT_EQ(end - begin, 1);
    std::unique_lock lock(mutex);
    ++begun;
    changed.notify_all();
    EXPECT_TRUE(changed.wait_for(lock, std::chrono::seconds(60), [&] { return begun == 2; }));
  });
  EXPECT_EQ(begun, 2);
}

TEST_F(Parallel, CoversEveryItemOnce) {
  std::vector<int> visits(1000, 0);
  parallel_for(1000, 7, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) ++visits[i];
  });
  EXPECT_EQ(visits, std::vector<int>(1000, 1));
}

TEST_F(Parallel, PassesFailuresOn) {
  const auto fail = [](int64_t, int64_t) { throw std::invalid_argument("no"); };
  EXPECT_THROW(parallel_for(2, 1, fail), std::runtime_error);
}

}  // namespace
}  // namespace espalier::nn
