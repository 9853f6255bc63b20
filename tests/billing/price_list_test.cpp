#include "billing/price_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "common/files.h"

namespace espalier::billing {
namespace {

using ::testing::HasSubstr;

constexpr auto kSs = Denoiser::kSparseStructure;
constexpr auto kGeo = Denoiser::kGeometry;
constexpr auto kTex = Denoiser::kTexture;

TEST(Price, EqualsThePublishedExamplesToTheNano) {
  struct Row {
    Order order;
    std::vector<int64_t> lines;
    int64_t total;
    const char* shown;
  };
  const Row rows[] = {
      {{20, false, {kSs, kGeo, kTex}, 32, 512, 2000},
       {2'004'600'000, 16'674'000'000, 6'492'000'000, 6'756'000'000},
       31'926'600'000,
       "$31.93"},
      {{20, false, {kSs, kGeo, kTex}, 64, 1024, 2000},
       {2'004'600'000, 66'696'000'000, 25'968'000'000, 27'024'000'000},
       121'692'600'000,
       "$121.69"},
      {{4, false, {kTex}, 32, 512, 1000}, {1'002'300'000, 3'378'000'000}, 4'380'300'000, "$4.38"},
      {{4, true, {kTex}, 32, 512, 1000}, {0, 3'378'000'000}, 3'378'000'000, "$3.38"},
      {{10, false, {kGeo}, 16, 512, 101}, {1'002'300'000, 163'923'000}, 1'166'223'000, "$1.17"},
      {{10, false, {kSs}, 16, 512, 101}, {1'002'300'000, 421'018'500}, 1'423'318'500, "$1.42"},
      {{1, false, {kSs, kGeo, kTex}, 64, 1024, 10000},
       {1'002'300'000, 333'480'000'000, 129'840'000'000, 135'120'000'000},
       599'442'300'000,
       "$599.44"},
  };
  for (const Row& row : rows) {
    const auto invoice = price(PriceList{}, row.order);
    ASSERT_TRUE(invoice.ok()) << invoice.status();
    ASSERT_EQ(invoice->lines.size(), row.lines.size());
    for (size_t i = 0; i < row.lines.size(); ++i) EXPECT_EQ(invoice->lines[i].amount_nanos, row.lines[i]) << i;
    EXPECT_EQ(invoice->total_nanos, row.total);
    EXPECT_EQ(dollars(invoice->total_nanos), row.shown);
  }
}

TEST(Price, RefusesValuesOutsideTheirRange) {
  const Order good{4, false, {kTex}, 32, 512, 1000};
  const auto with = [&](auto change) {
    Order order = good;
    change(order);
    return price(PriceList{}, order).status().code();
  };
  EXPECT_EQ(with([](Order&) {}), absl::StatusCode::kOk);
  EXPECT_EQ(with([](Order& o) { o.objects = -1; }), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(with([](Order& o) { o.objects = 1'000'001; }), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(with([](Order& o) { o.steps = 0; }), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(with([](Order& o) { o.rank = 17; }), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(with([](Order& o) { o.resolution = 1536; }), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(with([](Order& o) { o.denoisers = {kTex, kGeo, kTex}; }), absl::StatusCode::kInvalidArgument);
}

TEST(Dollars, RoundsHalfUp) {
  EXPECT_EQ(dollars(5'000'000), "$0.01");
  EXPECT_EQ(dollars(4'999'999), "$0.00");
  EXPECT_EQ(dollars_precise(163'950'000), "$0.1640");
  EXPECT_EQ(dollars_precise(421'018'500), "$0.4210");
  EXPECT_EQ(dollars(-31'926'600'000), "-$31.93");
  EXPECT_EQ(dollars(-1), "$0.00");
}

TEST(Dollars, AreReadExactly) {
  const std::pair<const char*, int64_t> good[] = {{"12.50", 12'500'000'000},
                                                  {"0", 0},
                                                  {"1", 1'000'000'000},
                                                  {"-0.000000001", -1},
                                                  {"9223372036.854775807", INT64_MAX}};
  for (const auto& [text, nanos] : good) EXPECT_EQ(parse_dollars(text).value_or(77), nanos) << text;
  for (const char* text :
       {"", "-", ".5", "5.", "1,5", "$1", "1e3", "--1", "0.0000000001", "9223372036.854775808", "+1"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(parse_dollars(text).status())) << text;
  }
}

TEST(PriceList, SurvivesItsStoredForm) {
  PriceList prices;
  prices.version = "v7";
  prices.step_nanos = {2, 4, 6};
  prices.assumed_objects = 3;
  prices.cancel_policy = kCancelCompletedStages;
  const auto back = PriceList::from_json(prices.to_json());
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->to_json(), prices.to_json());
  EXPECT_EQ(PriceList::from_json("{}").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(PriceList::from_json("not json").status().code(), absl::StatusCode::kDataLoss);
}

TEST(PriceList, TheShippedFileHoldsTheDefaults) {
  const auto prices = load_price_list(ESP_SOURCE_DIR "/configs/pricing.yaml");
  ASSERT_TRUE(prices.ok()) << prices.status();
  EXPECT_EQ(prices->to_json(), PriceList{}.to_json());
}

TEST(PriceList, RefusesOddStepPrices) {
  const auto folder = TempDir::create();
  const auto file = folder->path() / "pricing.yaml";
  std::ofstream(file) << "training:\n  texture_step_nanos: 3\n";
  EXPECT_THAT(std::string(load_price_list(file).status().message()), HasSubstr("texture_step_nanos: 3 is odd"));
}

}  // namespace
}  // namespace espalier::billing
