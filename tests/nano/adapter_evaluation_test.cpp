#include "nano/adapter_evaluation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace espalier::nano {
namespace {

using testing::HasSubstr;

TEST(Evaluate, RefusesSettingsOutOfRangeByName) {
  const struct {
    const char* named;
    double scale;
    int view, seeds;
  } rows[] = {
      {"scale", -0.1, 8, 3}, {"scale", 2.1, 8, 3}, {"view", 1, -1, 3}, {"seeds", 1, 8, 0}, {"seeds", 1, 8, 101}};
  for (const auto& row : rows) {
    EvaluationConfig config;
    config.scale = row.scale;
    config.view = row.view;
    config.seeds = row.seeds;
    const Status status = evaluate(config).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(row.named));
  }
}

TEST(Evaluate, NamesTheMissingBase) {
  EvaluationConfig config;
  config.base = "/nonexistent/base";
  const Status status = evaluate(config).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("/nonexistent/base"));
}

TEST(EvaluationReport, ReadsTheSameAsTableAndAsJson) {
  const Score cube{0.25, 0.5, SurfaceAgreement{0.125, 0.375}, SurfaceAgreement{0.0625, 0.875}}, ring{0.75, 1, {}, {}};
  const EvaluationReport report{{"cube", "ring"}, {{"base", {cube, ring}, {0.5, 0.75, {}, {}}}}};
  const auto json = nlohmann::json::parse(to_json(report));
  EXPECT_EQ(json["objects"], (std::vector<std::string>{"cube", "ring"}));
  EXPECT_EQ(json["candidates"][0]["name"], "base");
  EXPECT_DOUBLE_EQ(json["candidates"][0]["iou"], 0.5);
  EXPECT_DOUBLE_EQ(json["candidates"][0]["objects"][1]["f1"], 1);
  EXPECT_DOUBLE_EQ(json["candidates"][0]["objects"][0]["chamfer"], 0.125);
  EXPECT_DOUBLE_EQ(json["candidates"][0]["objects"][0]["own_cells_f_score"], 0.875);
  EXPECT_FALSE(json["candidates"][0].contains("chamfer")) << "what was not judged is left out";
  const std::string table = to_table(report);
  for (const char* text : {"cube", "ring", "base", "0.500", "0.750", "0.1250", "0.875"}) {
    EXPECT_THAT(table, HasSubstr(text));
  }
}

}  // namespace
}  // namespace espalier::nano
