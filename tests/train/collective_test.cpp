#include "train/collective.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>
#include <future>
#include <thread>

#include "common/philox.h"
#include "train/batch_plan.h"
#include "train/torch_errors.h"
#include "train/tree_sum.h"

namespace espalier::train {
namespace {

// Runs `body` on every rank of a group, each on its own thread.
void on_ranks(int world_size, const std::function<void(Collective&)>& body) {
  std::promise<int> listening;
  auto port = listening.get_future().share();
  std::vector<std::jthread> ranks;
  for (int rank = 0; rank < world_size; ++rank) {
    ranks.emplace_back([&, rank] {
      GroupAddress address;
      address.rank = rank;
      address.world_size = world_size;
      if (rank > 0) address.port = port.get();
      auto group = Collective::connect(address, false, [&](int bound) { listening.set_value(bound); });
      ASSERT_TRUE(group.ok()) << group.status();
      body(**group);
      (*group)->barrier();
    });
  }
}

at::Tensor part(int64_t index) {
  auto values = torch::empty({257}, torch::kFloat32);
  PhiloxStream random(3, static_cast<uint32_t>(index));
  for (int64_t i = 0; i < values.numel(); ++i) {
    values.data_ptr<float>()[i] = static_cast<float>(random.normal() * std::pow(10.0, random.below(6)));
  }
  return values;
}

at::Tensor tree_sum(const std::vector<int>& owners, Collective& group) {
  TreeSum sum(owners, group);
  for (size_t i = 0; i < owners.size(); ++i) {
    if (owners[i] == group.rank()) sum.add(static_cast<int64_t>(i), part(static_cast<int64_t>(i)));
  }
  auto total = torch::zeros({257}, torch::kFloat32);
  sum.reduce(total);
  group.broadcast(total, owners.front());
  return total;
}

TEST(Collective, SharesTensorsBetweenRanks) {
  on_ranks(3, [](Collective& group) {
    auto sum = torch::full({5}, group.rank() + 1.0);
    group.all_reduce_sum(sum);
    EXPECT_TRUE(torch::equal(sum, torch::full({5}, 6.0)));
    auto text = torch::full({2}, group.rank());
    group.broadcast(text, 2);
    EXPECT_EQ(text[0].item<int64_t>(), 2);
    auto ring = torch::full({2}, group.rank());
    if (group.rank() == 0) group.send(ring, 1);
    if (group.rank() == 1) group.receive(ring, 0), group.send(ring, 2);
    if (group.rank() == 2) {
      group.receive(ring, 1);
      EXPECT_EQ(ring[1].item<int64_t>(), 0);
    }
  });
}

TEST(TreeSum, GivesTheSameBitsWhoeverHoldsTheParts) {
  for (const size_t parts : {1, 2, 3, 4, 7, 8}) {
    at::Tensor want;
    on_ranks(1, [&](Collective& group) { want = tree_sum(std::vector<int>(parts, 0), group); });
    auto exact = torch::zeros({257}, torch::kFloat64);
    for (size_t i = 0; i < parts; ++i) exact += part(static_cast<int64_t>(i));
    EXPECT_TRUE(torch::allclose(want.to(torch::kFloat64), exact, 1e-4, 0.5));
    for (const int world_size : {2, 3, 5}) {
      const auto neighbours = plan_batch(std::vector<int64_t>(parts, 1), 1, 0, world_size).owners;
      std::vector<int> scattered;
      for (size_t i = 0; i < parts; ++i) scattered.push_back(static_cast<int>(i * 3 + 1) % world_size);
      on_ranks(world_size, [&](Collective& group) {
        EXPECT_TRUE(torch::equal(tree_sum(neighbours, group), want)) << parts << " on " << world_size;
        EXPECT_TRUE(torch::equal(tree_sum(scattered, group), want)) << parts << " scattered on " << world_size;
      });
    }
  }
}

TEST(Collective, ThrowsAStatusWhenARankIsGone) {
  std::promise<int> listening;
  auto port = listening.get_future().share();
  const auto join = [&](int rank) {
    GroupAddress address;
    address.rank = rank;
    address.world_size = 2;
    address.timeout = std::chrono::seconds(20);
    if (rank > 0) address.port = port.get();
    return *Collective::connect(address, false, [&](int bound) { listening.set_value(bound); });
  };
  std::jthread second([&] { join(1).reset(); });
  auto first = join(0);
  second.join();
  auto tensor = torch::zeros({4});
  EXPECT_THROW(first->all_reduce_sum(tensor), StatusError);
}

TEST(Collective, SaysThatNcclNeedsAGpu) {
  if (at::hasCUDA()) GTEST_SKIP() << "this machine has one";
  const auto group = Collective::connect({}, /*cuda=*/true);
  EXPECT_TRUE(absl::IsUnimplemented(group.status()) || absl::IsUnavailable(group.status())) << group.status();
}

TEST(GroupAddress, NamesEveryFaultAtOnce) {
  GroupAddress address;
  address.world_size = 2;
  address.rank = 2;
  address.timeout = std::chrono::seconds(0);
  const auto message = std::string(validate(address).message());
  EXPECT_THAT(message, testing::HasSubstr("member:"));
  EXPECT_THAT(message, testing::HasSubstr("rendezvous:"));
  EXPECT_THAT(message, testing::HasSubstr("timeout:"));
}

}  // namespace
}  // namespace espalier::train
