#include "train/batch_plan.h"

#include <algorithm>
#include <numeric>

namespace espalier::train {
namespace {

struct Call {
  std::vector<int64_t> slots;
  int64_t tokens = 0;
};

int64_t sum_of(std::span<const int64_t> tokens, const std::vector<int64_t>& slots) {
  int64_t sum = 0;
  for (const int64_t slot : slots) sum += tokens[static_cast<size_t>(slot)];
  return sum;
}

// Runs of as many samples of `size` tokens as a call holds.
std::vector<std::vector<int64_t>> runs(int64_t samples, int64_t size, int64_t max_samples, int64_t max_tokens) {
  const int64_t length = max_tokens == 0 ? max_samples : std::clamp<int64_t>(max_tokens / size, 1, max_samples);
  std::vector<std::vector<int64_t>> groups;
  for (int64_t slot = 0; slot < samples; ++slot) {
    if (slot % length == 0) groups.emplace_back();
    groups.back().push_back(slot);
  }
  return groups;
}

// One group more until all keep the limit; at the latest each sample is alone.
std::vector<std::vector<int64_t>> fewest_groups(std::span<const int64_t> tokens, int64_t max_samples,
                                                int64_t max_tokens) {
  const auto n = static_cast<int64_t>(tokens.size());
  const auto fits = [&](const std::vector<int64_t>& group) {
    return max_tokens == 0 || group.size() <= 1 || sum_of(tokens, group) <= max_tokens;
  };
  for (int64_t count = (n + max_samples - 1) / max_samples;; ++count) {
    auto groups = balanced_groups(tokens, count, max_samples);
    if (count == n || std::all_of(groups.begin(), groups.end(), fits)) return groups;
  }
}

std::vector<Call> cut(std::span<const int64_t> tokens, int64_t max_samples, int64_t max_tokens) {
  const auto n = static_cast<int64_t>(tokens.size());
  const bool equal = std::all_of(tokens.begin(), tokens.end(), [&](int64_t size) { return size == tokens[0]; });
  std::vector<Call> calls;
  for (auto& group :
       equal ? runs(n, tokens[0], max_samples, max_tokens) : fewest_groups(tokens, max_samples, max_tokens)) {
    std::sort(group.begin(), group.end());
    const int64_t sum = sum_of(tokens, group);
    calls.push_back({std::move(group), sum});
  }
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

std::vector<std::vector<int64_t>> balanced_groups(std::span<const int64_t> loads, int64_t count, int64_t max_size) {
  const auto load_of = [&](int64_t index) { return loads[static_cast<size_t>(index)]; };
  std::vector<int64_t> order(loads.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return load_of(a) > load_of(b); });
  std::vector<std::vector<int64_t>> groups(static_cast<size_t>(count));
  std::vector<int64_t> sums(groups.size());
  const auto full = [&](size_t group) { return static_cast<int64_t>(groups[group].size()) >= max_size; };
  for (const int64_t index : order) {
    size_t lightest = 0;
    for (size_t group = 1; group < groups.size(); ++group) {
      if (full(lightest) || (!full(group) && sums[group] < sums[lightest])) lightest = group;
    }
    groups[lightest].push_back(index);
    sums[lightest] += load_of(index);
  }
  return groups;
}

BatchPlan plan_batch(std::span<const int64_t> tokens, int64_t max_samples, int64_t max_tokens, int world_size) {
  auto calls = cut(tokens, max_samples, max_tokens);
  // The smallest heaviest share for which the ranks suffice, by bisection: shares() needs fewer ranks the more one
  // takes.
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
