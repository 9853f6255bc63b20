#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "client/command.h"
#include "coordinator/billing/job_price.h"

namespace espalier::client {
namespace {

struct Outcome {
  int code = 0;
  nlohmann::json json;  // of stdout
};

// `espalier estimate … --json`, as typed.
Outcome estimate(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"espalier", "estimate", "--json"});
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  std::ostringstream out;
  std::streambuf* const terminal = std::cout.rdbuf(out.rdbuf());
  Outcome outcome;
  outcome.code = run(static_cast<int>(argv.size()), argv.data());
  std::cout.rdbuf(terminal);
  outcome.json = nlohmann::json::parse(out.str(), nullptr, /*allow_exceptions=*/false);
  return outcome;
}

TEST(Estimate, TellsThePublishedExamplesToTheNanoWithoutAServer) {
  struct Row {
    std::vector<std::string> arguments;
    int64_t total;
    std::vector<int64_t> lines;
  };
  const std::string all = "sparse_structure,geometry,texture";
  const Row rows[] = {
      {{"--objects", "20", "--denoisers", all, "--steps", "2000", "--rank", "32", "--resolution", "512"},
       31'926'600'000,
       {2'004'600'000, 16'674'000'000, 6'492'000'000, 6'756'000'000}},
      {{"--objects", "20", "--denoisers", all, "--steps", "2000", "--rank", "64", "--resolution", "1024"},
       121'692'600'000,
       {2'004'600'000, 66'696'000'000, 25'968'000'000, 27'024'000'000}},
      {{"--objects", "4", "--denoisers", "texture"}, 4'380'300'000, {1'002'300'000, 3'378'000'000}},
      {{"--objects", "4", "--denoisers", "texture", "--reused"}, 3'378'000'000, {0, 3'378'000'000}},
      {{"--objects", "10", "--denoisers", "geometry", "--steps", "101", "--rank", "16"},
       1'166'223'000,
       {1'002'300'000, 163'923'000}},
      {{"--objects", "10", "--denoisers", "sparse_structure", "--steps", "101", "--rank", "16"},
       1'423'318'500,
       {1'002'300'000, 421'018'500}},
      {{"--objects", "1", "--denoisers", all, "--steps", "10000", "--rank", "64", "--resolution", "1024"},
       599'442'300'000,
       {1'002'300'000, 333'480'000'000, 129'840'000'000, 135'120'000'000}},
  };
  for (const Row& row : rows) {
    const Outcome outcome = estimate(row.arguments);
    ASSERT_EQ(outcome.code, 0);
    EXPECT_EQ(outcome.json.at("total_nanos"), row.total);
    ASSERT_EQ(outcome.json.at("lines").size(), row.lines.size());
    for (size_t i = 0; i < row.lines.size(); ++i) {
      EXPECT_EQ(outcome.json.at("lines").at(i).at("amount_nanos"), row.lines[i]);
    }
  }
}

TEST(Estimate, IsWhatTheCoordinatorCharges) {
  for (const int rank : {16, 32, 64}) {
    for (const int resolution : {512, 1024}) {
      for (const int objects : {0, 10, 11, 1'000'000}) {
        v1::TrainingSpec spec;
        spec.set_rank(rank);
        spec.set_resolution(resolution);
        spec.set_steps(333);
        spec.add_denoisers(v1::DENOISER_TEXTURE);
        spec.add_denoisers(v1::DENOISER_SPARSE_STRUCTURE);
        const auto charged = coordinator::job_price(billing::PriceList(), spec, objects, /*reused=*/false);
        ASSERT_TRUE(charged.ok());
        const Outcome told =
            estimate({"--objects", std::to_string(objects), "--rank", std::to_string(rank), "--resolution",
                      std::to_string(resolution), "--steps", "333", "--denoisers", "texture,sparse_structure",
                      "--pricing", ESP_SOURCE_DIR "/configs/pricing.yaml"});
        EXPECT_EQ(told.json.at("total_nanos"), charged->total_nanos());
        EXPECT_EQ(told.json.at("price_version"), charged->price_version());
        EXPECT_EQ(told.json.at("lines").size(), 3u);
      }
    }
  }
}

TEST(Estimate, RefusesWhatNoJobMayHave) {
  const std::vector<std::string> wrong[] = {
      {},
      {"--objects", "-1"},
      {"--objects", "1000001"},
      {"--objects", "4", "--denoisers", "colour"},
      {"--objects", "4", "--denoisers", "texture,texture"},
      {"--objects", "4", "--rank", "17"},
      {"--objects", "4", "--resolution", "1536"},
      {"--objects", "4", "--steps", "99"},
  };
  for (const auto& arguments : wrong) EXPECT_EQ(estimate(arguments).code, 2) << arguments.size();
}

}  // namespace
}  // namespace espalier::client
