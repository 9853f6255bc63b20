#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <regex>

#include "common/files.h"
#include "infer/request.h"
#include "infer/samplers/limits.h"

namespace espalier::infer {
namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& file) { return *read_file(fs::path(ESP_SOURCE_DIR) / file); }

// The matches of `pattern`, each as its groups from the first on.
std::vector<std::smatch> matches(const std::string& text, const std::regex& pattern) {
  return {std::sregex_iterator(text.begin(), text.end(), pattern), {}};
}

TEST(SamplerLimits, AreWhatTheProtoFileSays) {
  const std::string proto = text_of("proto/espalier/v1/inference.proto");
  std::smatch message;
  ASSERT_TRUE(std::regex_search(proto, message, std::regex(R"(message SamplerOptions \{([^}]*)\})")));
  const std::string fields = message[1];
  std::map<std::string, std::string> said, wanted;
  for (const auto& field : matches(fields, std::regex(R"((\w+) = \d+;\s*// ([-.\d]+\.\.[-.\d]*\d))"))) {
    said[field[1]] = field[2];
  }
  for (const SamplerLimit& limit : kSamplerLimits) wanted[std::string(limit.field)] = range_text(limit);
  EXPECT_EQ(said, wanted);
  EXPECT_EQ(matches(fields, std::regex(R"(= \d+;)")).size(), wanted.size()) << "a field without a range";
}

// The client may not use infer/, so its help repeats the numbers.
TEST(SamplerLimits, AreWhatTheClientsHelpSays) {
  const std::map<std::string, std::string> wanted = {{"Sampler steps", range_text(kStepsLimit)},
                                                     {"uidance strength", range_text(kGuidanceStrengthLimit)}};
  size_t found = 0;
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(ESP_SOURCE_DIR) / "client")) {
    if (entry.path().extension() != ".cpp") continue;
    const std::string source = text_of(entry.path());
    for (const auto& option : matches(source, std::regex(R"rx("[^"\n]*(Sampler steps|uidance strength)[^"\n]*")rx"))) {
      EXPECT_NE(option.str().find(wanted.at(option[1])), std::string::npos) << entry.path() << ": " << option.str();
      ++found;
    }
  }
  EXPECT_GT(found, 0u);
}

TEST(SamplerLimits, AllowTheirEndsAndNothingBeyond) {
  const auto faults_of = [](double steps, double strength, double rescale_t) {
    SamplerOverrides overrides;
    overrides.steps = static_cast<int>(steps);
    overrides.guidance_strength = strength;
    overrides.rescale_t = rescale_t;
    std::vector<Fault> faults;
    apply(overrides, {}, "s", faults);
    return faults.size();
  };
  const SamplerLimit &steps = kStepsLimit, &strength = kGuidanceStrengthLimit, &rescale_t = kRescaleTLimit;
  EXPECT_EQ(faults_of(steps.low, strength.low, rescale_t.low), 0u);
  EXPECT_EQ(faults_of(steps.high, strength.high, rescale_t.high), 0u);
  EXPECT_EQ(faults_of(steps.low - 1, strength.low - 0.01, rescale_t.low - 0.01), 3u);
  EXPECT_EQ(faults_of(steps.high + 1, strength.high + 0.01, rescale_t.high + 0.01), 3u);
}

}  // namespace
}  // namespace espalier::infer
