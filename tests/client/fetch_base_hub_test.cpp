#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "client/hub/digest.h"
#include "client/hub/fetch_base.h"
#include "client/hub/hub.h"
#include "client/hub/listing.h"
#include "common/files.h"
#include "tests/client/fake_hub.h"

namespace espalier::client {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kMain[] = "microsoft/TRELLIS.2-4B";
constexpr char kDino[] = "facebook/dinov3-vitl16-pretrain-lvd1689m";

class HubTest : public ::testing::Test {
 protected:
  HubTest() {
    hub_.add_official_base();
    options_.endpoint = hub_.url();
    options_.backoff = std::chrono::milliseconds(1);
  }

  Result<HubRepo> list(const std::string& repo = kMain, const std::string& revision = "main") const {
    const auto hub = Hub::create(options_);
    return hub.ok() ? hub->list(repo, revision) : hub.status();
  }
  Status fetch(const std::string& repo = kMain) const {
    return fetch_base({.hub = options_, .repo = repo, .folder = temporary_.path() / "a/base", .silent = true}).status();
  }

  TempDir temporary_ = *TempDir::create();
  FakeHub hub_;
  HubOptions options_;
};

TEST_F(HubTest, SaysHowToGetAtGatedFiles) {
  hub_.repos[kDino].needs_token = "hf_good";
  Status status = fetch();
  EXPECT_TRUE(absl::IsUnauthenticated(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr(hub_.url() + "/" + kDino), HasSubstr("accept its conditions"), HasSubstr("HF_TOKEN")));
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("[31mrestricted."), Not(HasSubstr("\x1b"))));
  for (const auto& request : hub_.byte_requests()) EXPECT_FALSE(request.target.ends_with(".safetensors"));
  options_.token = "hf_other";
  status = fetch();
  EXPECT_TRUE(absl::IsPermissionDenied(status)) << status;
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(kDino), Not(HasSubstr("hf_other"))));
  options_.token = "hf_good\n";
  EXPECT_TRUE(fetch().ok());
}

TEST_F(HubTest, SaysThatATokenIsNotValid) {
  hub_.api[std::string("/api/models/") + kMain + "/revision/main"] = {{.code = 401}};
  options_.token = "hf_old";
  EXPECT_THAT(std::string(list().status().message()), HasSubstr("not valid"));
}

TEST_F(HubTest, SendsTheTokenToTheHubAndNowhereElse) {
  options_.token = "hf_secret";
  ASSERT_TRUE(fetch().ok());
  for (const auto& request : hub_.hub_requests()) EXPECT_EQ(request.authorization, "Bearer hf_secret");
  ASSERT_FALSE(hub_.byte_requests().empty());
  for (const auto& request : hub_.byte_requests()) EXPECT_EQ(request.authorization, "") << request.target;
}

TEST_F(HubTest, NamesWhatDoesNotExist) {
  for (const auto& [repo, revision] : {std::pair("no/such", "main"), std::pair(kMain, "v9/x")}) {
    const Status status = list(repo, revision).status();
    EXPECT_TRUE(absl::IsNotFound(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(repo));
  }
  EXPECT_TRUE(absl::IsInvalidArgument(list("../up").status()));
  hub_.repos[kMain].files.erase("ckpts/tex_enc_next_dc_f16c32_fp16.safetensors");
  EXPECT_THAT(std::string(fetch().message()), AllOf(HasSubstr("tex_slat_encoder"), HasSubstr(kMain)));
  hub_.repos[kMain].files.erase("pipeline.json");
  EXPECT_THAT(std::string(fetch().message()), HasSubstr("no pipeline.json"));
}

TEST_F(HubTest, TriesAgainWhileTheServerIsInTrouble) {
  hub_.api[std::string("/api/models/") + kMain + "/revision/main"] = {
      {.code = 429, .headers = {{"Retry-After", "0"}}}, {.code = 502}, {.code = 503}, {.body = "{", .cut = 0}};
  int notices = 0;
  options_.on_retry = [&](const std::string& line) {
    ++notices;
    EXPECT_THAT(line, HasSubstr(kMain));
  };
  EXPECT_TRUE(list().ok());
  EXPECT_EQ(notices, 4);
}

TEST_F(HubTest, GivesUpAfterSomeAttempts) {
  options_.attempts = 3;
  hub_.api[std::string("/api/models/") + kMain + "/revision/main"].assign(9, {.code = 500});
  const Status status = list().status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_EQ(hub_.hub_requests().size(), 3);
}

TEST_F(HubTest, WaitsAsLongAsTheServerWishesButStopsAtOnce) {
  std::stop_source stop;
  options_.stop = stop.get_token();
  options_.on_retry = [&](const std::string& line) {
    EXPECT_THAT(line, HasSubstr("4m00s"));
    stop.request_stop();
  };
  hub_.api[std::string("/api/models/") + kMain + "/revision/main"] = {
      {.code = 429, .headers = {{"Retry-After", "240"}}}};
  EXPECT_TRUE(absl::IsCancelled(list().status()));
}

TEST_F(HubTest, WritesNothingOutsideTheFolder) {
  for (const char* path : {"../evil.json", "/etc/evil", "ckpts/../../evil", "a//b", "a\\b", "./a", "a\nb", ""}) {
    EXPECT_FALSE(is_plain_path(path)) << path;
    hub_.repos[kMain].files = {{"pipeline.json", "{}"}, {path, "x"}};
    const Status status = fetch();
    EXPECT_TRUE(absl::IsDataLoss(status)) << path << ": " << status;
  }
  EXPECT_TRUE(is_plain_path("ckpts/a b.json"));
}

TEST_F(HubTest, RefusesStemsThatLeaveTheFolderOrHitItsOwnFile) {
  for (const char* stem : {"../../evil", "/etc/passwd", "espalier"}) {
    HubRepo main{.id = kMain, .commit = std::string(40, 'a'), .licence = ""};
    for (const char* path : {"pipeline.json", "espalier.json", "espalier.safetensors", "ok.json", "ok.safetensors"})
      main.files[path].path = path;
    const std::string pipeline = std::string(R"({"args": {"models": {"sparse_structure_flow_model": ")") + stem +
                                 R"(", "sparse_structure_decoder": "ok", "sparse_structure_encoder": ")" + stem +
                                 R"("}}})";
    const auto none = [](const std::string& id) -> Result<HubRepo> { return absl::NotFoundError(id); };
    const auto plan = plan_base(main, pipeline, {.denoisers = {Denoiser::kSparseStructure}}, none);
    EXPECT_TRUE(absl::IsInvalidArgument(plan.status())) << stem << ": " << plan.status();
  }
}

TEST_F(HubTest, RefusesAnswersThatAreNoListing) {
  HubRepo repo{.id = kMain, .commit = "", .licence = ""};
  for (const char* text : {"", "{}", "[{\"type\": \"file\"}]", "[{\"type\": \"file\", \"path\": \"a\", \"size\": 1}]",
                           "[{\"type\": \"file\", \"path\": \"a\", \"size\": -1, \"oid\": "
                           "\"ce013625030ba8dba906f756967f9e9ca394464a\"}]",
                           "[{\"type\": \"file\", \"path\": \"a\", \"lfs\": {\"oid\": \"zz\", \"size\": 1}}]"}) {
    EXPECT_TRUE(absl::IsDataLoss(parse_tree(text, repo))) << text;
  }
  for (const char* text :
       {"", "[]", "{\"sha\": \"main\"}", "{\"sha\": \"../../../etc/passwd/aaaaaaaaaaaaaaaaaaaaa\"}"}) {
    EXPECT_TRUE(absl::IsDataLoss(parse_revision(kMain, text).status())) << text;
  }
}

TEST_F(HubTest, ChecksContentAsGitAndLfsDo) {
  const fs::path path = temporary_.path() / "hello";
  std::ofstream(path) << "hello\n";
  HubFile file{.path = "hello", .size = 6, .sha256 = "", .git_sha1 = "ce013625030ba8dba906f756967f9e9ca394464a"};
  const std::string sha256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
  EXPECT_EQ(check_content(path, file).value_or("differs"), sha256);
  file.git_sha1[0] = 'd';
  EXPECT_TRUE(absl::IsDataLoss(check_content(path, file).status()));
  file.sha256 = sha256;
  EXPECT_TRUE(check_content(path, file).ok());
  file.size = 7;
  EXPECT_THAT(std::string(check_content(path, file).status().message()), HasSubstr("6 bytes"));
}

TEST(HubAddress, IsEncryptedUnlessItIsWrittenOtherwise) {
  const struct {
    const char *endpoint, *token;
    bool good;
  } rows[] = {{"https://huggingface.co", "hf_x", true},
              {"https://huggingface.co/", "", true},
              {"http://mirror.example.org", "", true},
              {"http://mirror.example.org", "hf_x", false},
              {"http://127.0.0.1:8080", "hf_x", true},
              {"http://localhost", "hf_x", true},
              {"huggingface.co", "", false},
              {"ftp://huggingface.co", "", false},
              {"https://", "", false},
              {"https://user:secret@huggingface.co", "", false},
              {"https://huggingface.co", "a\r\nb: c", false},
              {"https://huggingface.co?x", "", false}};
  for (const auto& row : rows) {
    const Status status = Hub::create({.endpoint = row.endpoint, .token = row.token}).status();
    EXPECT_EQ(status.ok(), row.good) << row.endpoint << " " << status;
    EXPECT_TRUE(status.ok() || absl::IsInvalidArgument(status));
  }
}

}  // namespace
}  // namespace espalier::client
