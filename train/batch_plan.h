#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace espalier::train {

// How the samples of one update are cut into loss calls, and which rank makes each call.
//
// The cut does not depend on the number of ranks, so every call is the same computation wherever it runs; only the
// shares of the ranks change with their number.
struct BatchPlan {
  std::vector<std::vector<int64_t>> calls;  // slots of each loss call, ascending; calls by their first slot
  std::vector<int> owners;                  // rank of each call, ascending; rank 0 owns the first one
};

// `tokens`: >= 1, of each slot's sample. A call holds at most `max_samples` >= 1 samples of together at most
// `max_tokens` tokens (0: no limit); a larger sample is alone. Samples of one size are cut in order; else they become
// balanced_groups, the fewest that keep the limits. Ranks get neighbouring calls such that the heaviest share is as
// light as possible; a rank may get none.
BatchPlan plan_batch(std::span<const int64_t> tokens, int64_t max_samples, int64_t max_tokens, int world_size);

// The indices of `loads` in `count` groups of nearly equal load and at most `max_size` members (count * max_size >=
// loads): each, the heaviest first, goes to the group that is lightest so far and not full. Members are in that order;
// equal loads are taken in ascending index.
// Reference: TRELLIS.2 trellis2/utils/data_utils.py, load_balanced_group_indices.
std::vector<std::vector<int64_t>> balanced_groups(std::span<const int64_t> loads, int64_t count, int64_t max_size);

}  // namespace espalier::train
