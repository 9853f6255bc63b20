#include "train/training_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <map>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "common/files.h"
#include "tests/train/tiny_base.h"
#include "train/trainer.h"

namespace espalier::train {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

template <class T>
T little_endian(std::string_view bytes) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) value |= static_cast<T>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  return value;
}

// The messages of an event file; both checksums of every record are verified.
std::vector<std::string> messages_of(const fs::path& path) {
  const std::string all = *read_file(path);
  std::vector<std::string> messages;
  for (std::string_view rest = all; !rest.empty();) {
    const auto length = little_endian<uint64_t>(rest);
    EXPECT_EQ(little_endian<uint32_t>(rest.substr(8)), masked(crc32c(rest.substr(0, 8))));
    const auto message = rest.substr(12, length);
    EXPECT_EQ(little_endian<uint32_t>(rest.substr(12 + length)), masked(crc32c(message)));
    messages.emplace_back(message);
    rest.remove_prefix(16 + length);
  }
  return messages;
}

// The fields of a protocol buffer message by number; eight- and four-byte ones as their bytes.
std::multimap<uint64_t, std::string> fields_of(std::string_view message) {
  std::multimap<uint64_t, std::string> fields;
  const auto varint = [&] {
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<unsigned char>(message.front());
      message.remove_prefix(1);
      value |= uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return value;
    }
  };
  while (!message.empty()) {
    const uint64_t key = varint();
    size_t size = (key & 7) == 1 ? 8 : 4;
    if ((key & 7) == 0) {
      fields.emplace(key >> 3, std::to_string(varint()));
      continue;
    }
    if ((key & 7) == 2) size = varint();
    fields.emplace(key >> 3, message.substr(0, size));
    message.remove_prefix(size);
  }
  return fields;
}

std::vector<json> lines_of(const fs::path& path) {
  std::vector<json> lines;
  for (const auto& line : absl::StrSplit(*read_file(path), '\n', absl::SkipEmpty())) lines.push_back(json::parse(line));
  return lines;
}

json step_event(int step, double loss) {
  return {{"event", "step"}, {"step", step},     {"loss", loss},
          {"lr", 1e-3},      {"grad_norm", 2.0}, {"seconds_per_step", 0.5}};
}

TEST(Crc32c, HasTheKnownCheckValues) {
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);
}

TEST(TrainingLog, WritesEventsThatAReaderFinds) {
  const auto folder = *TempDir::create("training_log");
  auto log = TrainingLog::open(folder.path() / "log", {});
  ASSERT_TRUE(log.ok()) << log.status();
  log->write(step_event(1, 0.75));
  log->write({{"event", "log"}, {"message", "of no interest"}});
  log->write({{"event", "validation"}, {"when", "after"}, {"step", 300}, {"loss", 0.5}, {"losses", json::object()}});
  const auto messages = messages_of(folder.path() / "log" / TrainingLog::kEventsName);
  ASSERT_EQ(messages.size(), 3u);
  EXPECT_EQ(fields_of(messages[0]).find(3)->second, "brain.Event:2");

  const auto step = fields_of(messages[1]);
  EXPECT_EQ(step.find(2)->second, "1");
  EXPECT_GT(std::bit_cast<double>(little_endian<uint64_t>(step.find(1)->second)), 1.7e9);
  std::map<std::string, float> scalars;
  const auto summary = fields_of(step.find(5)->second);
  for (const auto& [number, value] : summary) {
    const auto scalar = fields_of(value);
    scalars[scalar.find(1)->second] = std::bit_cast<float>(little_endian<uint32_t>(scalar.find(2)->second));
  }
  EXPECT_EQ(scalars, (std::map<std::string, float>{{"train/loss", 0.75f},
                                                   {"train/learning_rate", 1e-3f},
                                                   {"train/grad_norm", 2.0f},
                                                   {"train/seconds_per_step", 0.5f}}));
  EXPECT_EQ(fields_of(messages[2]).find(2)->second, "300");
}

TEST(TrainingLog, GoesOnFromItsHistoryInAnotherFolder) {
  const auto folder = *TempDir::create("training_log");
  auto first = TrainingLog::open(folder.path() / "first", {});
  ASSERT_TRUE(first.ok());
  first->write(step_event(1, 0.7));
  const json history = json::parse(first->history().dump());
  first->write(step_event(2, 0.6));  // after the checkpoint: done again by the run that goes on
  auto second = TrainingLog::open(folder.path() / "second", history);
  ASSERT_TRUE(second.ok());
  second->write(step_event(2, 0.6));
  const auto lines = lines_of(folder.path() / "second" / TrainingLog::kMetricsName);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0], lines_of(folder.path() / "first" / TrainingLog::kMetricsName)[0]);
  EXPECT_EQ(lines[1]["step"], 2);
  EXPECT_EQ(messages_of(folder.path() / "second" / TrainingLog::kEventsName).size(), 3u);
}

TEST(TrainingLog, NamesAFolderThatCannotBeWritten) {
  const auto status = TrainingLog::open("/proc/none", {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("/proc/none"));
}

// The checkpoint is older than the last step of the lost run, and the new run is on another machine.
TEST(TrainingLog, OfAResumedTrainingHasEveryStepOnce) {
  const auto world = *TempDir::create("training_log");
  write_tiny_world(world.path());
  auto config = tiny_config(world.path(), "logged");
  config.checkpoint_folder = world.path() / "checkpoints";
  config.checkpoint_every = 40;
  config.log_folder = world.path() / "first";
  ASSERT_TRUE(train(config).ok());
  ASSERT_TRUE(fs::remove(world.path() / "checkpoints" / absl::StrFormat("step_%07d.ckpt", config.steps)));

  config.log_folder = world.path() / "second";
  int64_t resumed_at = 0;
  ASSERT_TRUE(train(config, {}, [&](const json& event) {
                if (event.at("event") == "started") resumed_at = event.at("resumed_at");
              }).ok());
  EXPECT_EQ(resumed_at, config.steps / 40 * 40);
  std::vector<int64_t> steps;
  std::vector<std::string> validations;
  for (const json& line : lines_of(world.path() / "second" / TrainingLog::kMetricsName)) {
    if (line.contains("validation"))
      validations.push_back(line.at("when"));
    else
      steps.push_back(line.at("step"));
  }
  std::vector<int64_t> expected(static_cast<size_t>(config.steps));
  std::iota(expected.begin(), expected.end(), 1);
  EXPECT_EQ(steps, expected);
  EXPECT_THAT(validations, testing::ElementsAre("before", "after"));
}

}  // namespace
}  // namespace espalier::train
