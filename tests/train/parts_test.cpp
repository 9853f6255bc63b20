#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>
#include <map>

#include "common/exit_codes.h"
#include "train/collective.h"
#include "train/command_line.h"
#include "train/flow_loss.h"
#include "train/grad_clipper.h"
#include "train/item_stream.h"
#include "train/schedule.h"

namespace espalier::train {
namespace {

using testing::HasSubstr;

TEST(ItemStream, ShowsEveryItemByItsRepeatInEveryEpoch) {
  ItemStream stream({1, 3, 2}, 5);
  ASSERT_EQ(stream.epoch_length(), 6);
  for (int epoch = 0; epoch < 20; ++epoch) {
    std::map<int64_t, int> counts;
    for (int i = 0; i < 6; ++i) ++counts[stream.item(epoch * 6 + i)];
    EXPECT_THAT(counts, testing::ElementsAre(testing::Pair(0, 1), testing::Pair(1, 3), testing::Pair(2, 2)));
  }
}

TEST(ItemStream, IsAFunctionOfThePosition) {
  ItemStream forward({1, 1, 1, 1, 1}, 3), jumping({1, 1, 1, 1, 1}, 3), other({1, 1, 1, 1, 1}, 4);
  std::vector<int64_t> a, b, c;
  for (int64_t p = 0; p < 50; ++p) a.push_back(forward.item(p));
  for (int64_t p = 49; p >= 0; --p) b.insert(b.begin(), jumping.item(p));
  for (int64_t p = 0; p < 50; ++p) c.push_back(other.item(p));
  EXPECT_EQ(a, b);
  EXPECT_NE(a, c);
  EXPECT_NE(std::vector(a.begin(), a.begin() + 5), std::vector(a.begin() + 5, a.begin() + 10));
}

TEST(Schedule, RisesThenStaysOrFalls) {
  struct Row {
    Schedule::Kind kind;
    int64_t warmup, step;
    double want;
  };
  using Kind = Schedule::Kind;
  const std::vector<Row> rows = {
      {Kind::kConstant, 0, 0, 1},   {Kind::kConstant, 0, 99, 1},   {Kind::kConstant, 4, 0, 0.25},
      {Kind::kConstant, 4, 3, 1},   {Kind::kConstant, 4, 4, 1},    {Kind::kCosine, 0, 0, 1},
      {Kind::kCosine, 0, 50, 0.51}, {Kind::kCosine, 0, 100, 0.02}, {Kind::kCosine, 20, 10, 0.55},
      {Kind::kCosine, 20, 20, 1},   {Kind::kCosine, 20, 60, 0.51}, {Kind::kCosine, 0, 1000, 0.02},
  };
  for (const auto& row : rows) {
    const Schedule schedule{row.kind, 1.0, row.warmup, 100, 0.02};
    EXPECT_NEAR(schedule.rate(row.step), row.want, 1e-12) << row.warmup << " " << row.step;
  }
}

TEST(AdaptiveGradClipper, FollowsThePercentileOnceItsBufferIsFull) {
  AdaptiveGradClipper clipper(10, 50, 3);
  for (const double norm : {1.0, 2.0, 3.0}) {
    EXPECT_EQ(clipper.limit(), 10);
    auto gradient = torch::full({1}, norm);
    EXPECT_FLOAT_EQ(static_cast<float>(clipper.clip_(gradient)), static_cast<float>(norm));
  }
  EXPECT_EQ(clipper.limit(), 2);
  auto gradient = torch::full({1}, 4.0);
  clipper.clip_(gradient);
  EXPECT_NEAR(gradient.item<double>(), 2, 1e-5);
  EXPECT_EQ(clipper.limit(), 3);  // of 4, 2, 3
}

TEST(AdaptiveGradClipper, DoesNotRememberAnInfiniteNorm) {
  AdaptiveGradClipper clipper(1, 95, 2);
  auto gradient = torch::tensor({std::numeric_limits<float>::infinity(), 1.f});
  EXPECT_TRUE(std::isinf(clipper.clip_(gradient)));
  EXPECT_EQ(clipper.state().length, 0);
  EXPECT_TRUE(std::isnan(gradient[0].item<float>()));
}

TEST(FlowTime, FollowsItsDistribution) {
  double uniform = 0, logit = 0;
  constexpr int kDraws = 4000;
  for (int i = 0; i < kDraws; ++i) {
    uniform += draw_time({}, random_stream(0, Purpose::kTime, i));
    const double t = draw_time(TimeDistribution::logit_normal(1, 1), random_stream(1, Purpose::kTime, i));
    logit += std::log(t / (1 - t));
  }
  EXPECT_NEAR(uniform / kDraws, 0.5, 0.02);
  EXPECT_NEAR(logit / kDraws, 1.0, 0.06);
}

FlowTask perfect_task() {
  FlowTask task;
  task.samples = [](std::span<const SampleRef> samples) {
    return dense_samples(torch::zeros({static_cast<int64_t>(samples.size()), 2, 2, 2, 2}));
  };
  task.conditions = [](std::span<const SampleRef> samples) {
    return torch::ones({static_cast<int64_t>(samples.size()), 3, 4});
  };
  // With x_0 = 0, x_t = (sigma + (1 - sigma) t) noise: the velocity is known.
  task.predict = [](const FlowSamples&, const at::Tensor& x, const at::Tensor& t, const at::Tensor&) {
    return x * (1 - kSigmaMin) / (kSigmaMin + (1 - kSigmaMin) * t.view({-1, 1, 1, 1, 1}) / kTimeScale);
  };
  return task;
}

TEST(FlowLoss, IsZeroForTheTrueVelocity) {
  const std::vector<SampleRef> samples = {{3, 0, 0}, {3, 1, 0}};
  EXPECT_LT(flow_loss(perfect_task(), samples).item<double>(), 1e-9);
}

TEST(FlowLoss, DrawsBySampleNotByBatch) {
  auto task = perfect_task();
  task.predict = [](const FlowSamples&, const at::Tensor& x, const at::Tensor&, const at::Tensor& condition) {
    return x * condition.mean({1, 2}).view({-1, 1, 1, 1, 1});
  };
  task.condition_dropout = 0.5;
  std::vector<SampleRef> samples;
  for (int64_t slot = 0; slot < 6; ++slot) samples.push_back({9, slot, 0});
  double apart = 0;
  for (const auto& sample : samples) apart += flow_loss(task, std::span(&sample, 1)).item<double>() / 6;
  EXPECT_NEAR(flow_loss(task, samples).item<double>(), apart, 1e-6);
}

// Objects of 3, 1 and 2 cells, item by item.
FlowSamples cells(std::span<const SampleRef> refs) {
  std::vector<at::Tensor> feats, coords;
  for (const auto& ref : refs) {
    const int64_t rows = std::vector<int64_t>{3, 1, 2}[static_cast<size_t>(ref.item)];
    feats.push_back(torch::arange(rows * 4, torch::kFloat32).view({rows, 4}) + static_cast<double>(ref.item));
    coords.push_back(torch::full({rows, 3}, ref.item, torch::kInt32));
  }
  return structured_samples(feats, coords);
}

TEST(FlowLoss, AveragesOverTheCellsOfStructuredLatents) {
  FlowTask task;
  task.samples = cells;
  task.conditions = [](auto refs) { return torch::ones({static_cast<int64_t>(refs.size()), 3, 4}); };
  std::vector<at::Tensor> seen;
  task.predict = [&](const FlowSamples& samples, const at::Tensor& x, const at::Tensor& t, const at::Tensor&) {
    EXPECT_EQ(t.size(0), samples.size());
    seen.push_back(x);
    return x;
  };
  const std::vector<SampleRef> both = {{4, 0, 0}, {4, 1, 2}};
  const double together = flow_loss(task, both).item<double>();
  const double first = flow_loss(task, std::span(both).first(1)).item<double>();
  const double second = flow_loss(task, std::span(both).last(1)).item<double>();
  EXPECT_NEAR(together, (3 * first + 2 * second) / 5, 1e-5);
  EXPECT_TRUE(torch::equal(seen[0], torch::cat({seen[1], seen[2]}))) << "draws must not depend on the neighbours";
}

TEST(StructuredSamples, PutTheSampleInFrontOfTheCell) {
  const std::vector<SampleRef> refs = {{0, 0, 2}, {0, 1, 0}};
  const auto samples = cells(refs);
  EXPECT_THAT(samples.offsets, testing::ElementsAre(0, 2, 5));
  EXPECT_TRUE(torch::equal(samples.coords[1], torch::tensor({0, 2, 2, 2}, torch::kInt32)));
  EXPECT_TRUE(torch::equal(samples.coords[2], torch::tensor({1, 0, 0, 0}, torch::kInt32)));
}

TEST(DropCondition, PutsZerosAndPassesNoGradient) {
  auto condition = torch::rand({3, 2, 2}).requires_grad_();
  const auto drop = torch::tensor({0, 1, 0}, torch::kBool);
  const auto kept = drop_condition(condition, drop);
  EXPECT_EQ(kept[1].abs().sum().item<double>(), 0);
  EXPECT_TRUE(torch::equal(kept[0], condition[0]));
  kept.sum().backward();
  EXPECT_EQ(condition.grad()[1].abs().sum().item<double>(), 0);
}

TEST(CommandLine, RefusesEveryFaultAtOnce) {
  const std::vector<const char*> argv = {
      "espalier-train", "--rank", "17", "--lr", "nan", "--dataset", "d", "--resume", "maybe", "--progress-fd", "9"};
  CommandLine line;
  const auto status = parse_command_line(static_cast<int>(argv.size()), argv.data(), line);
  for (const char* field : {"rank", "learning_rate", "output", "resume"}) {
    EXPECT_THAT(std::string(status.message()), HasSubstr(field));
  }
  EXPECT_EQ(line.progress_fd, 9);
  EXPECT_EQ(exit_code(status), 2);
}

TEST(Collective, NamesTheVariableThatMakesNoSense) {
  struct Row {
    const char *world, *rank, *port, *named;
  };
  for (const auto& row : {Row{"x", "0", "1000", "WORLD_SIZE"}, Row{"2", "2", "1000", "RANK"},
                          Row{"2", "1", "", "MASTER_PORT"}, Row{"2", "1", "70000", "MASTER_PORT"}}) {
    setenv("WORLD_SIZE", row.world, 1);
    setenv("RANK", row.rank, 1);
    setenv("MASTER_PORT", row.port, 1);
    EXPECT_THAT(std::string(group_from_environment().status().message()), HasSubstr(row.named));
  }
  for (const char* name : {"WORLD_SIZE", "RANK", "MASTER_PORT"}) unsetenv(name);
  EXPECT_EQ(group_from_environment()->world_size, 1);
}

}  // namespace
}  // namespace espalier::train
