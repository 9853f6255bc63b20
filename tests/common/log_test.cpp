#include "common/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <regex>
#include <thread>

namespace espalier {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::internal::CaptureStderr;
using ::testing::internal::GetCapturedStderr;

// What `body` writes, with the log set to `format` and as it was before afterwards.
template <class Body>
std::string logged(LogFormat format, Body body) {
  configure_log("test", LogLevel::kDebug, format);
  CaptureStderr();
  body();
  std::string text = GetCapturedStderr();
  configure_log("test", LogLevel::kInfo, LogFormat::kText);
  return text;
}

TEST(Log, WritesOneJsonObjectPerLine) {
  const std::string line = logged(LogFormat::kJson, [] {
    log_warning("task \"lost\"\n", {{"job", "job_1"}, {"attempt", 2}, {"ms", 1.5}, {"again", true}, {"err", "a\xff"}});
  });
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  const json parsed = json::parse(line);
  EXPECT_TRUE(std::regex_match(parsed.at("ts").get<std::string>(),
                               std::regex("\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{6}Z")));
  EXPECT_EQ(parsed.at("level"), "warning");
  EXPECT_EQ(parsed.at("component"), "test");
  EXPECT_EQ(parsed.at("msg"), "task \"lost\"\n");
  EXPECT_EQ(parsed.at("job"), "job_1");
  EXPECT_EQ(parsed.at("attempt"), 2);
  EXPECT_EQ(parsed.at("ms"), 1.5);
  EXPECT_EQ(parsed.at("err"), "a\xef\xbf\xbd") << "bytes that are no text are replaced";
}

TEST(Log, AScopeAddsItsFieldsToEveryLineOfItsThread) {
  const std::string lines = logged(LogFormat::kJson, [] {
    const LogScope outer({{"job", "job_1"}, {"rank", 0}});
    log_info("one", {{"rank", 3}});
    {
      const LogScope inner({{"attempt", 7}});
      log_info("two");
    }
    std::thread([] { log_info("three"); }).join();
    log_info("four");
  });
  std::vector<json> parsed;
  for (std::istringstream in(lines); in.peek() != EOF;) {
    std::string line;
    std::getline(in, line);
    parsed.push_back(json::parse(line));
  }
  ASSERT_EQ(parsed.size(), 4u);
  EXPECT_EQ(parsed[0].at("job"), "job_1");
  EXPECT_EQ(parsed[0].at("rank"), 3) << "a line's own field counts more";
  EXPECT_EQ(parsed[1].at("attempt"), 7);
  EXPECT_EQ(parsed[1].at("rank"), 0);
  EXPECT_FALSE(parsed[2].contains("job"));
  EXPECT_FALSE(parsed[3].contains("attempt"));
}

TEST(Log, TakesTheSecretOfAKeyOut) {
  const std::string secret(64, 'b');
  for (const LogFormat format : {LogFormat::kJson, LogFormat::kText}) {
    const std::string line = logged(format, [&] {
      log_info("called with Key key_1:esk_" + secret, {{"header", "Bearer key_1:esk_" + secret + " and more"}});
    });
    EXPECT_THAT(line, Not(HasSubstr("bbbb")));
    EXPECT_THAT(line, HasSubstr("esk_[redacted]"));
    EXPECT_THAT(line, HasSubstr("and more"));
  }
}

TEST(Log, QuotesTextFieldsThatWouldBeReadWrongly) {
  EXPECT_THAT(logged(LogFormat::kText,
                     [] {
                       log_info("done", {{"path", "a b"}, {"steps", 5}});
                     }),
              HasSubstr("test: done path=\"a b\" steps=5\n"));
}

}  // namespace
}  // namespace espalier
