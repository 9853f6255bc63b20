#include "client/http_download.h"

#include <gmock/gmock.h>
#include <sys/resource.h>

#include <csignal>
#include <fstream>
#include <optional>

#include "common/files.h"
#include "tests/client/http_server.h"

namespace espalier::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

class HttpDownload : public ::testing::Test {
 protected:
  Status download(HttpOptions options = {}) { return http_download(server_.url() + "/file", file_, options); }
  std::string content() const { return read_file(file_).value_or("(none)"); }
  void hold(const std::string& bytes) const { std::ofstream(file_, std::ios::binary) << bytes; }

  TempDir temporary_ = *TempDir::create();
  const std::filesystem::path file_ = temporary_.path() / "file";
  HttpAnswer answer_;
  HttpServer server_{[this](const HttpRequest&) { return answer_; }};
};

TEST_F(HttpDownload, WritesTheBodyAndTellsItsProgress) {
  answer_.body = std::string(100'000, 'a');
  int64_t last = 0, all = 0;
  const auto progress = [&](int64_t done, int64_t total) {
    EXPECT_GE(done, last);
    last = done;
    all = total;
  };
  ASSERT_TRUE(download({.progress = progress}).ok());
  EXPECT_EQ(content(), answer_.body);
  EXPECT_EQ(last, 100'000);
  EXPECT_EQ(all, 100'000);
}

TEST_F(HttpDownload, ReplacesWhatWasThere) {
  hold("longer than the new content");
  answer_.body = "new";
  ASSERT_TRUE(download().ok());
  EXPECT_EQ(content(), "new");
  answer_.body = "";
  ASSERT_TRUE(download({.resume = true}).ok()) << "an empty body is a body, too";
  EXPECT_EQ(content(), "");
}

TEST_F(HttpDownload, TakesOnlyThePartItAskedFor) {
  hold("12345");
  answer_ = {.code = 206, .headers = {{"Content-Range", "bytes 3-9/10"}}, .body = "4567890"};
  EXPECT_TRUE(absl::IsUnavailable(download({.resume = true})));
  EXPECT_EQ(content(), "12345");
  answer_ = {.code = 206, .headers = {{"Content-Range", "bytes 5-9/10"}}, .body = "67890"};
  EXPECT_TRUE(download({.resume = true}).ok());
  EXPECT_EQ(content(), "1234567890");
  EXPECT_EQ(server_.requests().back().range, "bytes=5-");
}

TEST_F(HttpDownload, KeepsTextsOfRefusalsOutOfTheFile) {
  const std::pair<unsigned, absl::StatusCode> rows[] = {
      {401, absl::StatusCode::kUnauthenticated}, {403, absl::StatusCode::kPermissionDenied},
      {404, absl::StatusCode::kNotFound},        {416, absl::StatusCode::kOutOfRange},
      {429, absl::StatusCode::kUnavailable},     {503, absl::StatusCode::kUnavailable}};
  for (const auto& [code, expected] : rows) {
    hold("12345");
    answer_ = {.code = code, .headers = {{"X-Reason", "because"}}, .body = "no!"};
    HttpReply reply;
    EXPECT_EQ(download({.resume = true, .reply = &reply}).code(), expected) << code;
    EXPECT_EQ(content(), "12345");
    EXPECT_EQ(reply.code, code);
    EXPECT_EQ(reply.headers["x-reason"], "because");
  }
}

TEST_F(HttpDownload, EndsAtItsLimits) {
  answer_.body = std::string(2'000, 'a');
  const Status large = download({.max_bytes = 1'999});
  EXPECT_TRUE(absl::IsInvalidArgument(large)) << large;
  EXPECT_THAT(std::string(large.message()), HasSubstr("larger than 2.0 kB"));
  EXPECT_TRUE(absl::IsInvalidArgument(http_text(server_.url(), {.max_bytes = 10}).status()));
  answer_ = {.code = 302, .headers = {{"Location", "/again"}}};
  EXPECT_TRUE(absl::IsFailedPrecondition(download()));
  EXPECT_EQ(server_.requests().size(), 2 + 6) << "five redirects";
  answer_ = {.code = 302, .headers = {{"Location", "file:///etc/passwd"}}};
  EXPECT_TRUE(absl::IsFailedPrecondition(download()));
}

TEST_F(HttpDownload, SaysThatTheDiskIsFull) {
  answer_.body = std::string(1 << 20, 'a');
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{.rlim_cur = 100'000, .rlim_max = before.rlim_max};
  const auto previous = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const Status status = download();
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, previous);
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("disk full"));
}

TEST_F(HttpDownload, TellsALostServerFromABadAddress) {
  answer_ = {.body = "12345", .cut = 3};
  EXPECT_TRUE(absl::IsUnavailable(download()));
  EXPECT_EQ(content(), "123");
  std::string gone;
  {
    gone = HttpServer([](const HttpRequest&) { return HttpAnswer{}; }).url();
  }
  EXPECT_TRUE(absl::IsUnavailable(http_text(gone).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(http_text("ftp://127.0.0.1/x").status()));
}

}  // namespace
}  // namespace espalier::client
