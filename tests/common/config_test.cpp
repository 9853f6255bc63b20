#include "common/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>

#include "common/files.h"

namespace espalier {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Settings {
  std::string listen = "127.0.0.1:7400";
  std::string format = "text";
  bool reuse = true;
  int workers = 2;
  double rate = 0.5;
  milliseconds lease = seconds(30);
  Bytes limit{uint64_t{8} << 30};
  std::vector<std::string> stages = {"a"};
};

class ConfigTableTest : public ::testing::Test {
 protected:
  ConfigTableTest() {
    table_.text("listen", &settings_.listen, "Address.");
    table_.choice("log.format", &settings_.format, {"text", "json"}, "Log lines.");
    table_.flag("reuse", &settings_.reuse, "Reuse.");
    table_.integer("workers", &settings_.workers, 1, 64, "Workers.");
    table_.number("rate", &settings_.rate, 0.0, 1.0, "Rate.");
    table_.duration("lease.time", &settings_.lease, seconds(1), std::chrono::hours(1), "Lease.");
    table_.bytes("limit", &settings_.limit, {1}, {uint64_t{1} << 40}, "Limit.");
    table_.list("stages", &settings_.stages, {"a", "b", "c"}, "Stages.");
  }
  Status load_text(const std::string& yaml, ConfigSources sources = {}) {
    sources.file = folder_->path() / "test.yaml";
    std::ofstream(sources.file) << yaml;
    return table_.load(sources);
  }
  Result<TempDir> folder_ = TempDir::create();
  Settings settings_;
  ConfigTable table_;
};

TEST_F(ConfigTableTest, ReadsEveryKindOfValue) {
  const Status status = load_text(
      "listen: \"[::1]:1\"\nlog: {format: json}\nreuse: false\nworkers: 64\nrate: 1e-1\nlease:\n  time: 250m\n"
      "limit: 3MiB\nstages: [b, c]\n");
  EXPECT_THAT(std::string(status.message()), HasSubstr("lease.time: 250m is not in [1s, 1h]"));
  ASSERT_TRUE(load_text("listen: \"[::1]:1\"\nlog: {format: json}\nreuse: false\nworkers: 64\nrate: 1e-1\nlease:\n"
                        "  time: 2500ms\nlimit: 3MiB\nstages: [b, c]\n")
                  .ok());
  EXPECT_EQ(settings_.listen, "[::1]:1");
  EXPECT_EQ(settings_.format, "json");
  EXPECT_FALSE(settings_.reuse);
  EXPECT_EQ(settings_.workers, 64);
  EXPECT_DOUBLE_EQ(settings_.rate, 0.1);
  EXPECT_EQ(settings_.lease, milliseconds(2500));
  EXPECT_EQ(settings_.limit.count, uint64_t{3} << 20);
  EXPECT_THAT(settings_.stages, ElementsAre("b", "c"));
}

TEST_F(ConfigTableTest, NamesEachFaultWithItsLine) {
  struct Row {
    const char* yaml;
    const char* fault;
  };
  const Row rows[] = {
      {"\nworkers: 0\n", "test.yaml:2: workers: 0 is not in [1, 64]"},
      {"workers: many\n", "test.yaml:1: workers: 'many' is not a whole number"},
      {"workers: [1]\n", "test.yaml:1: workers: must be a single value"},
      {"workers: 1\nworkers: 2\n", "test.yaml:2: workers: is given twice"},
      {"wrokers: 1\n", "test.yaml:1: wrokers: is not a known setting"},
      {"lease: 30s\n", "test.yaml:1: lease: is not a known setting"},
      {"lease:\n  time: 30\n", "test.yaml:2: lease.time: '30' is not a time with a unit"},
      {"lease:\n  time: 99999999999999999h\n", "is not a time with a unit"},
      {"limit: 3MB\n", "limit: '3MB' is not a size with a unit"},
      {"reuse: maybe\n", "reuse: 'maybe' is not true or false"},
      {"rate: .nan\n", "rate: '.nan' is not a number"},
      {"stages: a\n", "stages: must be a list"},
      {"stages: [d]\n", "'d' is not one of a, b, c"},
      {"log:\n  format: xml\n", "'xml' is not one of text, json"},
      {"rate:\n", "test.yaml:1: rate: has no value"},
      {"- a\n", "not a map of settings"},
      {"a: [1\nb: 2\n", "test.yaml:"},
  };
  for (const Row& row : rows) {
    const Status status = load_text(row.yaml);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << row.yaml;
    EXPECT_THAT(std::string(status.message()), HasSubstr(row.fault));
  }
}

TEST_F(ConfigTableTest, ReportsAllFaultsAtOnceAndChangesNothing) {
  const Status status = load_text("workers: 0\nrate: 2\nlisten: elsewhere\nnope: 1\n");
  EXPECT_THAT(std::string(status.message()), HasSubstr("workers: 0"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("rate: 2"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("nope"));
  EXPECT_EQ(settings_.listen, "127.0.0.1:7400");
}

TEST_F(ConfigTableTest, LetsEnvironmentOverrideTheFileAndFlagsOverrideBoth) {
  setenv("ESPTEST_WORKERS", "5", 1);
  setenv("ESPTEST_LEASE_TIME", "7s", 1);
  setenv("ESPTEST_STAGES", "a, c", 1);
  const Status status =
      load_text("workers: 4\nrate: 0.25\n", {.environment_prefix = "ESPTEST", .overrides = {{"workers", "6"}}});
  unsetenv("ESPTEST_WORKERS");
  unsetenv("ESPTEST_LEASE_TIME");
  unsetenv("ESPTEST_STAGES");
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(settings_.workers, 6);
  EXPECT_EQ(settings_.lease, seconds(7));
  EXPECT_THAT(settings_.stages, ElementsAre("a", "c"));
  EXPECT_DOUBLE_EQ(settings_.rate, 0.25);
}

TEST_F(ConfigTableTest, ReportsAMissingFile) {
  EXPECT_EQ(table_.load({.file = "/nonexistent.yaml"}).code(), absl::StatusCode::kNotFound);
}

TEST_F(ConfigTableTest, PrintsAFileThatItReadsBack) {
  settings_.listen = "quote\" and \\ back";
  settings_.lease = milliseconds(90'000);
  const std::string printed = table_.print();
  EXPECT_THAT(printed, HasSubstr("lease:\n  # Lease. (1s to 1h)\n  time: 90s\n"));
  settings_ = Settings();
  ASSERT_TRUE(load_text(printed).ok()) << printed;
  EXPECT_EQ(settings_.listen, "quote\" and \\ back");
  EXPECT_EQ(settings_.lease, seconds(90));
}

}  // namespace
}  // namespace espalier
