#include "common/exit_codes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <regex>

#include "common/files.h"

namespace espalier {
namespace {

// Code -> name: the matches of `row`, which has two groups, `code` and the other one for the name.
std::map<int, std::string> rows_of(const char* file, const std::regex& row, size_t code) {
  const auto text = read_file(std::string(ESP_SOURCE_DIR) + "/" + file);
  EXPECT_TRUE(text.ok()) << text.status();
  std::map<int, std::string> rows;
  for (std::sregex_iterator match(text->begin(), text->end(), row), end; match != end; ++match) {
    const bool fresh = rows.emplace(std::stoi((*match)[code]), (*match)[3 - code]).second;
    EXPECT_TRUE(fresh) << file << ": " << match->str() << " is there twice";
  }
  return rows;
}

TEST(ExitCodes, ThePageForPeopleHasThoseOfTheHeader) {
  const auto page = rows_of("docs/exit_codes.md", std::regex(R"(\| (\d+) \| `(kExit\w+)` \|)"), 1);
  const auto header = rows_of("common/exit_codes.h", std::regex(R"(constexpr int (kExit\w+) = (\d+);)"), 2);
  EXPECT_EQ(page, header);
  EXPECT_EQ(header.size(), 6u);
  EXPECT_EQ(std::size(kExitCodes), header.size()) << "the table of manual pages";
}

TEST(ExitCodes, FollowTheStatus) {
  const std::pair<Status, int> rows[] = {
      {absl::OkStatus(), kExitOk},
      {absl::InvalidArgumentError(""), kExitInvalid},
      {absl::NotFoundError(""), kExitInvalid},
      {absl::FailedPreconditionError(""), kExitInvalid},
      {absl::CancelledError(""), kExitCancelled},
      {absl::UnavailableError(""), kExitFailed},
      {absl::InternalError(""), kExitFailed},
      {absl::DataLossError(""), kExitFailed},
  };
  for (const auto& [status, code] : rows) EXPECT_EQ(exit_code(status), code) << status;
}

TEST(ExitCodes, OneOfItsOwnStaysWithAStatusThatGetsContext) {
  const Status partial = with_exit_code(absl::AbortedError("texture failed"), kExitPartial);
  EXPECT_EQ(exit_code(partial), kExitPartial);
  EXPECT_EQ(exit_code(annotate(partial, "job")), kExitPartial);
  EXPECT_EQ(partial.message(), "texture failed");
}

}  // namespace
}  // namespace espalier
