#include "train/batch_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/philox.h"

namespace espalier::train {
namespace {

using testing::ElementsAre;

std::vector<int64_t> random_sizes(uint64_t seed, int n) {
  PhiloxStream random(seed, 0);
  std::vector<int64_t> sizes;
  for (int i = 0; i < n; ++i) sizes.push_back(1 + random.below(5000));
  return sizes;
}

// Tokens of the heaviest rank.
int64_t heaviest(const BatchPlan& plan, const std::vector<int64_t>& tokens, int world_size) {
  std::vector<int64_t> load(static_cast<size_t>(world_size));
  for (size_t call = 0; call < plan.calls.size(); ++call) {
    for (const int64_t slot : plan.calls[call]) load[plan.owners[call]] += tokens[slot];
  }
  return *std::max_element(load.begin(), load.end());
}

TEST(BatchPlan, CutsEqualSamplesInOrder) {
  const auto plan = plan_batch(std::vector<int64_t>(7, 64), 2, 0, 2);
  EXPECT_THAT(plan.calls, ElementsAre(ElementsAre(0, 1), ElementsAre(2, 3), ElementsAre(4, 5), ElementsAre(6)));
  EXPECT_THAT(plan.owners, ElementsAre(0, 0, 1, 1));
}

TEST(BatchPlan, LeavesRanksWithoutWorkWhenCallsAreFew) {
  EXPECT_THAT(plan_batch(std::vector<int64_t>(3, 1), 1, 0, 8).owners, ElementsAre(0, 1, 2));
  EXPECT_THAT(plan_batch(std::vector<int64_t>(3, 1), 8, 0, 8).owners, ElementsAre(0));
}

TEST(BatchPlan, PutsALargeSampleAlone) {
  const auto plan = plan_batch(std::vector<int64_t>{100, 9000, 200, 300}, 8, 1000, 2);
  EXPECT_THAT(plan.calls, ElementsAre(ElementsAre(0, 2, 3), ElementsAre(1)));
  EXPECT_THAT(plan.owners, ElementsAre(0, 1));
}

TEST(BatchPlan, CutsSamplesOfDifferentSizesIntoTheFewestCallsOfNearlyEqualWork) {
  const auto plan = plan_batch(std::vector<int64_t>{300, 450, 200, 600, 350}, 8, 1024, 2);
  EXPECT_THAT(plan.calls, ElementsAre(ElementsAre(0, 3), ElementsAre(1, 2, 4))) << "900 and 1000 tokens";
  EXPECT_THAT(plan.owners, ElementsAre(0, 1));
}

TEST(BalancedGroups, GiveTheHeaviestToTheLightestGroupThatIsNotFull) {
  const std::vector<int64_t> loads = {76, 102, 128, 89};
  EXPECT_THAT(balanced_groups(loads, 2, 4), ElementsAre(ElementsAre(2, 0), ElementsAre(1, 3)));
  EXPECT_THAT(balanced_groups(std::vector<int64_t>{100, 1, 1, 1}, 2, 2),
              ElementsAre(ElementsAre(0, 3), ElementsAre(1, 2)));
  EXPECT_THAT(balanced_groups(std::vector<int64_t>{100, 1, 1, 1}, 2, 4),
              ElementsAre(ElementsAre(0), ElementsAre(1, 2, 3)));
}

TEST(BatchPlan, KeepsItsPromisesForAnySizes) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const auto tokens = random_sizes(seed, 1 + static_cast<int>(seed));
    const auto alone = plan_batch(tokens, 4, 8000, 1);
    std::vector<int> seen(tokens.size());
    for (const auto& call : alone.calls) {
      int64_t sum = 0;
      for (const int64_t slot : call) sum += tokens[slot], ++seen[slot];
      EXPECT_LE(call.size(), 4u);
      EXPECT_LE(sum, 8000);
    }
    EXPECT_THAT(seen, testing::Each(1)) << "every sample once";
    const auto total = heaviest(alone, tokens, 1);
    for (const int world_size : {2, 3, 4, 8}) {
      const auto plan = plan_batch(tokens, 4, 8000, world_size);
      EXPECT_EQ(plan.calls, alone.calls) << "the cut must not depend on the ranks";
      EXPECT_TRUE(std::is_sorted(plan.owners.begin(), plan.owners.end()));
      EXPECT_EQ(plan.owners.front(), 0);
      EXPECT_LT(plan.owners.back(), world_size);
      // A neighbouring split is never worse than an even share and one more call.
      EXPECT_LE(heaviest(plan, tokens, world_size), total / world_size + 8000);
    }
  }
}

}  // namespace
}  // namespace espalier::train
