#include "train/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "absl/strings/str_split.h"

namespace espalier::train {
namespace {

using testing::HasSubstr;

std::vector<std::string> log_lines(std::FILE* file) {
  std::rewind(file);
  char bytes[8192];
  const std::string text(bytes, std::fread(bytes, 1, sizeof bytes, file));
  std::fclose(file);
  return absl::StrSplit(text, '\n', absl::SkipEmpty());
}

TEST(ProgressOutput, OfATrainingIsTenLinesInALog) {
  std::FILE* file = std::tmpfile();
  {
    ProgressOutput output(-1, file);
    for (int step = 1; step <= 100; ++step) {
      output.write({{"event", "step"},
                    {"step", step},
                    {"total", 100},
                    {"loss", 0.5},
                    {"seconds_per_step", 1.0},
                    {"eta_seconds", 100 - step}});
    }
    output.write({{"event", "result"}, {"path", "a.safetensors"}, {"bytes", 7}});
    output.write_error(absl::InternalError("and then?"));
  }
  const auto lines = log_lines(file);
  ASSERT_EQ(lines.size(), 13u) << "the first step, ten tenths, the result, the error";
  EXPECT_THAT(lines[0], HasSubstr("step 1/100  loss 0.5000"));
  EXPECT_THAT(lines[10], HasSubstr("step 100/100"));
  EXPECT_EQ(lines[11], "adapter written to a.safetensors (7 bytes)");
  EXPECT_EQ(lines[12], "espalier-train: and then?");
}

TEST(ProgressOutput, IsForPeopleOnlyWithoutADescriptor) {
  std::FILE* file = std::tmpfile();
  {
    ProgressOutput output(99, file);  // of nobody
    output.write({{"event", "result"}, {"path", "a.safetensors"}, {"bytes", 7}});
  }
  EXPECT_TRUE(log_lines(file).empty());
}

}  // namespace
}  // namespace espalier::train
