#include "train/batch_plan.h"

#include <algorithm>
#include <numeric>

namespace espalier::train {
namespace {

struct Call {
  std::vector<int64_t> slots;
  int64_t tokens = 0;
};

// First fit, the largest samples first.
std::vector<Call> cut(std::span<const int64_t> tokens, size_t max_samples, int64_t max_tokens) {
  std::vector<int64_t> order(tokens.size());
  std::iota(order.begin(), order.end(), 0);
  const auto size = [&](int64_t slot) { return tokens[static_cast<size_t>(slot)]; };
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return size(a) > size(b); });
  std::vector<Call> calls;
  for (const int64_t slot : order) {
    auto room = std::find_if(calls.begin(), calls.end(), [&](const Call& call) {
      return call.slots.size() < max_samples && (max_tokens == 0 || call.tokens + size(slot) <= max_tokens);
    });
    if (room == calls.end()) room = calls.insert(room, Call{});
    room->slots.push_back(slot);
    room->tokens += size(slot);
  }
  for (auto& call : calls) std::sort(call.slots.begin(), call.slots.end());
  std::sort(calls.begin(), calls.end(), [](const Call& a, const Call& b) { return a.slots[0] < b.slots[0]; });
  return calls;
}

// Neighbouring calls go together until a share would exceed `most` tokens.
std::vector<int> shares(const std::vector<Call>& calls, int64_t most) {
  std::vector<int> owners;
  int rank = 0;
  int64_t load = 0;
  for (const auto& call : calls) {
    if (load > 0 && load + call.tokens > most) {
      ++rank;
      load = 0;
    }
    load += call.tokens;
    owners.push_back(rank);
  }
  return owners;
}

}  // namespace

BatchPlan plan_batch(std::span<const int64_t> tokens, int64_t max_samples, int64_t max_tokens, int world_size) {
  auto calls = cut(tokens, static_cast<size_t>(max_samples), max_tokens);
  // The smallest heaviest share for which the ranks suffice, by bisection.
  int64_t low = 0, high = 0;
  for (const auto& call : calls) {
    low = std::max(low, call.tokens);
    high += call.tokens;
  }
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (shares(calls, middle).back() < world_size) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  BatchPlan plan{{}, shares(calls, high)};
  for (auto& call : calls) plan.calls.push_back(std::move(call.slots));
  return plan;
}

}  // namespace espalier::train
