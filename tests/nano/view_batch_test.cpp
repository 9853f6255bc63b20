#include "nano/view_batch.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <atomic>

#include "nano/parallel.h"

namespace espalier::nano {
namespace {

// Two objects of two views; the pictures are told apart by their values.
Corpus small_corpus() {
  Corpus corpus;
  corpus.families = {"box", "cone"};
  corpus.images = at::randint(0, 256, {2, 2, 3, 128, 128}, at::TensorOptions(at::kByte));
  return corpus;
}

TEST(DrawViews, DependsOnSeedStepAndSlotOnly) {
  const Corpus corpus = small_corpus();
  const train::SampleRef a{3, 1, 0}, b{3, 2, 1};
  const train::SampleRef both[] = {a, b}, second[] = {b};
  const ViewBatch together = draw_views(corpus, both, 9), alone = draw_views(corpus, second, 9);
  EXPECT_TRUE(together.pixels[1].equal(alone.pixels[0]));
  EXPECT_EQ(together.mirrored[1], alone.mirrored[0]);
}

TEST(DrawViews, ShowsAViewOfTheObjectMirroredWhenItSaysSo) {
  const Corpus corpus = small_corpus();
  int mirrored = 0;
  for (int64_t step = 0; step < 40; ++step) {
    const train::SampleRef sample[] = {{step, 0, 1}};
    const ViewBatch batch = draw_views(corpus, sample, 5);
    ASSERT_EQ(batch.pixels.sizes(), (std::vector<int64_t>{1, 3, 128, 128}));
    at::Tensor shown = batch.pixels[0];
    if (batch.mirrored[0]) shown = shown.flip({2});
    mirrored += batch.mirrored[0] ? 1 : 0;
    // The order of the colour channels is random, so their sum is compared.
    const at::Tensor sums = corpus.images[1].to(at::kFloat).sum(1) / 255;
    const bool found =
        at::allclose(shown.sum(0), sums[0], 1e-4, 1e-4) || at::allclose(shown.sum(0), sums[1], 1e-4, 1e-4);
    EXPECT_TRUE(found) << "step " << step;
  }
  EXPECT_GT(mirrored, 5);
  EXPECT_LT(mirrored, 35);
}

TEST(DrawViews, LeavesColoursAsTheyAreWhenTold) {
  const Corpus corpus = small_corpus();
  const train::SampleRef sample[] = {{4, 0, 1}};
  const ViewBatch batch = draw_views(corpus, sample, 5, Colors::kAsSeen);
  const at::Tensor shown = batch.mirrored[0] ? batch.pixels[0].flip({2}) : batch.pixels[0];
  const at::Tensor views = corpus.images[1].to(at::kFloat) / 255;
  EXPECT_TRUE(shown.equal(views[0]) || shown.equal(views[1]));
}

TEST(PatchReading, IsPerfectForTokensThatHoldTheAnswer) {
  const at::Tensor pixels = at::full({1, 3, 128, 128}, 0.25);
  const at::Tensor axis = (at::arange(8) + 0.5) / 4 - 1;
  at::Tensor tokens = at::zeros({1, 69, 128});
  for (int64_t row = 0; row < 8; ++row) {
    for (int64_t column = 0; column < 8; ++column) {
      tokens[0][kFirstPatchToken + row * 8 + column][0] = axis[row];
      tokens[0][kFirstPatchToken + row * 8 + column][1] = axis[column];
    }
  }
  nn::TensorMap reader{{"patch.weight", at::zeros({50, 128})}, {"patch.bias", at::full({50}, 0.25)}};
  reader["patch.bias"].slice(0, 48).zero_();
  reader["patch.weight"][48][0] = 1;
  reader["patch.weight"][49][1] = 1;
  EXPECT_NEAR(patch_reading_loss(reader, tokens, pixels).item<double>(), 0, 1e-10);
  EXPECT_GT(patch_reading_loss(reader, tokens, pixels + 0.5).item<double>(), 0.2);
}

TEST(ForEachIndex, RunsEveryIndexOnceAndReturnsTheFirstError) {
  std::atomic<uint32_t> sum{0};
  EXPECT_TRUE(for_each_index(100, 3, [&](uint32_t i) { return sum += i, absl::OkStatus(); }).ok());
  EXPECT_EQ(sum.load(), 4950u);
  const Status failed = for_each_index(
      100, 1, [](uint32_t i) { return i < 7 ? absl::OkStatus() : absl::UnavailableError(std::to_string(i)); });
  EXPECT_EQ(failed, absl::UnavailableError("7"));
}

}  // namespace
}  // namespace espalier::nano
