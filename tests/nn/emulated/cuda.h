#pragma once

#include <c10/core/DeviceType.h>
#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>
#include <gtest/gtest.h>
#include <ucontext.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <numeric>
#include <random>
#include <type_traits>
#include <vector>

// What the kernels take from CUDA (nn/sparse/device.cuh), on one thread of a CPU. Blocks run one after another; the
// threads of a block are fibers that run, in an order of the test's choice, from barrier to barrier: a kernel that
// lacks a barrier gives other results in another order. Reported as failures: accesses that are not aligned as CUDA
// demands, threads that wait at different barriers, lanes of a warp that do not share a warp's operation.
#define __host__
#define __device__
#define __global__
#define __launch_bounds__(...)
#define __shared__ static  // one block at a time

struct uint4 {
  unsigned x, y, z, w;
};

struct dim3 {
  unsigned x = 1, y = 1;
  dim3(unsigned width, unsigned height) : x(width), y(height) {}
};

namespace emulated {

struct Index {
  unsigned x = 0, y = 0;
};

enum class Order { kAscending, kDescending, kShuffled };
inline Order order = Order::kAscending;  // of a block's threads between two barriers

// The threads of a block.
class Block {
 public:
  static constexpr int kMost = 128, kLanes = 32;

  // Runs `body` on every thread; false when they wait for each other in vain.
  bool run(int threads, const std::function<void()>& body);

  void wait_for_block() { wait(State::kAtBarrier); }
  unsigned ballot(bool vote) {
    now().vote = vote;
    wait(State::kAtBallot);
    return now().ballot;
  }
  // Remembers that this lane took part in an operation of its warp, on `operand`.
  void take_part(const void* operand) {
    now().operations = (now().operations ^ reinterpret_cast<uintptr_t>(operand)) * 0x100000001B3U + 1;
  }
  int lane() const { return current_ % kLanes; }
  int thread() const { return current_; }

 private:
  enum class State { kReady, kAtBarrier, kAtBallot, kDone };
  struct Fiber {
    ucontext_t context;
    std::unique_ptr<char[]> stack;
    State state;
    uintptr_t operations;
    bool vote;
    unsigned ballot;
  };
  static constexpr size_t kStackBytes = 256 << 10;

  static void enter();
  Fiber& now() { return fibers_[current_]; }
  void wait(State state) {
    now().state = state;
    swapcontext(&now().context, &scheduler_);
  }
  void start(int thread);
  std::vector<int> turn();
  bool all_in(int first, int count, State state) const {
    return std::all_of(fibers_.begin() + first, fibers_.begin() + first + count,
                       [state](const Fiber& fiber) { return fiber.state == state; });
  }
  bool release_block();
  bool release_warps();

  std::array<Fiber, kMost> fibers_;
  ucontext_t scheduler_;
  const std::function<void()>* body_ = nullptr;
  int threads_ = 0, current_ = 0;
  std::mt19937 random_{1};
};

inline Block block;

}  // namespace emulated

inline emulated::Index threadIdx, blockIdx;

namespace emulated {

inline void Block::enter() {
  (*block.body_)();
  block.now().state = State::kDone;
}

inline void Block::start(int thread) {
  Fiber& fiber = fibers_[thread];
  if (!fiber.stack) fiber.stack = std::make_unique<char[]>(kStackBytes);
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = fiber.stack.get();
  fiber.context.uc_stack.ss_size = kStackBytes;
  fiber.context.uc_link = &scheduler_;
  makecontext(&fiber.context, &Block::enter, 0);
  fiber.state = State::kReady;
  fiber.operations = 0;
}

// All threads, in the order of the test's choice.
inline std::vector<int> Block::turn() {
  std::vector<int> threads(threads_);
  std::iota(threads.begin(), threads.end(), 0);
  if (order == Order::kDescending) std::reverse(threads.begin(), threads.end());
  if (order == Order::kShuffled) std::shuffle(threads.begin(), threads.end(), random_);
  return threads;
}

inline bool Block::run(int threads, const std::function<void()>& body) {
  body_ = &body;
  threads_ = threads;
  for (int thread = 0; thread < threads; ++thread) start(thread);
  while (!all_in(0, threads, State::kDone)) {
    for (const int thread : turn()) {
      if (fibers_[thread].state != State::kReady) continue;
      current_ = thread;
      threadIdx.x = static_cast<unsigned>(thread);
      swapcontext(&scheduler_, &fibers_[thread].context);
    }
    const bool some_warp = release_warps();
    if (!some_warp && !release_block() && !all_in(0, threads, State::kDone)) return false;
  }
  return true;
}

inline bool Block::release_block() {
  if (!all_in(0, threads_, State::kAtBarrier)) return false;
  for (int thread = 0; thread < threads_; ++thread) {
    EXPECT_EQ(fibers_[thread].operations, fibers_[thread / kLanes * kLanes].operations) << "lanes differ: " << thread;
    fibers_[thread].state = State::kReady;
  }
  return true;
}

inline bool Block::release_warps() {
  bool some = false;
  for (int first = 0; first < threads_; first += kLanes) {
    if (!all_in(first, kLanes, State::kAtBallot)) continue;
    unsigned ballot = 0;
    for (int lane = 0; lane < kLanes; ++lane) ballot |= static_cast<unsigned>(fibers_[first + lane].vote) << lane;
    for (int lane = 0; lane < kLanes; ++lane) {
      fibers_[first + lane].ballot = ballot;
      fibers_[first + lane].state = State::kReady;
    }
    some = true;
  }
  return some;
}

inline void expect_aligned(const void* address, uintptr_t bytes) {
  if (reinterpret_cast<uintptr_t>(address) % bytes != 0) ADD_FAILURE() << address << " is no multiple of " << bytes;
}

}  // namespace emulated

inline void __syncthreads() { emulated::block.wait_for_block(); }
inline unsigned __ballot_sync(unsigned mask, bool vote) {
  EXPECT_EQ(mask, ~0U);
  return emulated::block.ballot(vote);
}
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline void atomicOr(unsigned* to, unsigned bits) { *to |= bits; }
inline unsigned long long atomicCAS(unsigned long long* at, unsigned long long if_this, unsigned long long put) {
  const unsigned long long before = *at;
  if (before == if_this) *at = put;
  return before;
}

// A warp's matrix operations: all lanes must call, the first does the work.
namespace espalier::nn::wmma {

constexpr int kSide = 16;

struct matrix_a;
struct matrix_b;
struct accumulator;
struct row_major;
struct col_major;
enum layout_t { mem_row_major };

template <class Use, int kRows, int kColumns, int kDepth, class T, class Layout = row_major>
struct fragment {
  static_assert(kRows == kSide && kColumns == kSide && kDepth == kSide);
  std::array<float, kSide * kSide> x;  // a half is a float too
};

template <class T>
bool is_at_work(const T* memory, int pitch) {
  emulated::expect_aligned(memory, 32);
  EXPECT_EQ(pitch * static_cast<int>(sizeof(T)) % 16, 0);
  emulated::block.take_part(memory);
  return emulated::block.lane() == 0;
}

template <class Use, class T, class Layout>
void load_matrix_sync(fragment<Use, kSide, kSide, kSide, T, Layout>& to, const T* from, int pitch) {
  if (!is_at_work(from, pitch)) return;
  constexpr bool kByRow = std::is_same_v<Layout, row_major>;
  for (int row = 0; row < kSide; ++row) {
    for (int column = 0; column < kSide; ++column) {
      to.x[row * kSide + column] = static_cast<float>(kByRow ? from[row * pitch + column] : from[column * pitch + row]);
    }
  }
}

template <class Sum>
void fill_fragment(Sum& sum, float value) {
  sum.x.fill(value);
}

template <class Sum, class Left, class Right>
void mma_sync(Sum& to, const Left& left, const Right& right, const Sum& plus) {
  emulated::block.take_part(nullptr);
  if (emulated::block.lane() != 0) return;
  to.x = plus.x;
  for (int row = 0; row < kSide; ++row) {
    for (int depth = 0; depth < kSide; ++depth) {
      for (int column = 0; column < kSide; ++column) {
        to.x[row * kSide + column] += left.x[row * kSide + depth] * right.x[depth * kSide + column];
      }
    }
  }
}

template <class Sum>
void store_matrix_sync(float* to, const Sum& sum, int pitch, layout_t) {
  if (!is_at_work(to, pitch)) return;
  for (int row = 0; row < kSide; ++row) std::copy_n(&sum.x[row * kSide], kSide, to + row * pitch);
}

}  // namespace espalier::nn::wmma

namespace espalier::nn {

using std::max;
using std::min;
using Half = c10::Half;
using BFloat16 = c10::BFloat16;

inline constexpr c10::DeviceType kDevice = c10::DeviceType::CPU;

inline uint4 load_16_bytes(const void* from) {
  emulated::expect_aligned(from, 16);
  uint4 bytes;
  std::memcpy(&bytes, from, sizeof(bytes));
  return bytes;
}
inline void store_16_bytes(void* to, uint4 bytes) {
  emulated::expect_aligned(to, 16);
  std::memcpy(to, &bytes, sizeof(bytes));
}

template <class... Parameters>
void launch(void (*kernel)(Parameters...), dim3 blocks, int threads, void*,
            std::type_identity_t<Parameters>... arguments) {
  const std::function<void()> body = [&] { kernel(arguments...); };
  for (blockIdx.y = 0; blockIdx.y < blocks.y; ++blockIdx.y) {
    for (blockIdx.x = 0; blockIdx.x < blocks.x; ++blockIdx.x) {
      ASSERT_TRUE(emulated::block.run(threads, body)) << "threads wait at different places";
    }
  }
}

}  // namespace espalier::nn
