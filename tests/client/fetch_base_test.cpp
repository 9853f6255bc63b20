#include "client/hub/fetch_base.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "client/command.h"
#include "common/files.h"
#include "common/sha256.h"
#include "tests/client/fake_hub.h"

namespace espalier::client {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kModelRepo[] = "microsoft/TRELLIS.2-4B";
constexpr char kStructure[] = "ckpts/ss_flow_img_dit_1_3B_64_bf16.safetensors";

class FetchBase : public ::testing::Test {
 protected:
  FetchBase() {
    hub_.add_official_base();
    options_.hub.endpoint = hub_.url();
    options_.hub.backoff = std::chrono::milliseconds(1);
    options_.folder = temporary_.path() / "models" / "base";
    options_.silent = true;
  }

  Status fetch() { return fetch_base(options_).status(); }
  std::string message() { return std::string(fetch().message()); }
  fs::path file(const std::string& place) const { return options_.folder / place; }
  std::string content(const std::string& place) const { return read_file(file(place)).value_or("(none)"); }
  json record() const { return json::parse(content("espalier.json"), nullptr, false); }
  const std::string& hub_content(const std::string& path) { return hub_.repos[kModelRepo].files[path]; }

  std::vector<std::string> files_below(const std::string& ending) const {
    std::vector<std::string> found;
    if (!fs::exists(options_.folder)) return found;
    for (const auto& entry : fs::recursive_directory_iterator(options_.folder)) {
      const std::string place = fs::relative(entry.path(), options_.folder).string();
      if (entry.is_regular_file() && place.ends_with(ending)) found.push_back(place);
    }
    std::sort(found.begin(), found.end());
    return found;
  }

  // Bytes in the first file with this ending; 0: there is none.
  uintmax_t written(const std::string& ending) const {
    const auto files = files_below(ending);
    return files.empty() ? 0 : fs::file_size(file(files[0]));
  }

  std::vector<std::string> ranges_of(const std::string& path) const {
    std::vector<std::string> ranges;
    for (const auto& request : hub_.byte_requests()) {
      if (request.target.ends_with(path)) ranges.push_back(request.range);
    }
    return ranges;
  }

  TempDir temporary_ = *TempDir::create();
  FakeHub hub_;
  FetchBaseOptions options_;
};

TEST_F(FetchBase, MakesABaseWithEverythingThatLoadersLookFor) {
  const auto fetched = fetch_base(options_);
  ASSERT_TRUE(fetched.ok()) << fetched.status();
  EXPECT_EQ(fetched->files, 25);
  EXPECT_EQ(fetched->downloaded, fetched->bytes);
  EXPECT_EQ(fetched->revisions.at(kModelRepo), std::string(40, 'a'));
  const json base = record();
  EXPECT_EQ(base["name"], "TRELLIS.2-4B");
  EXPECT_EQ(base["grid_scale"], 1);
  EXPECT_EQ(base["tiers"], json({512, 1024}));
  EXPECT_THAT(base["licence"].get<std::string>(), HasSubstr("mit (microsoft/TRELLIS.2-4B)"));
  EXPECT_EQ(base["sources"]["facebook/dinov3-vitl16-pretrain-lvd1689m"]["revision"], std::string(40, 'c'));
  EXPECT_EQ(content(kStructure), hub_content(kStructure));
  // As nn::BaseModel looks them up: a stem below the base's folder, the image encoder as a folder.
  json stems = json::parse(content("pipeline.json"))["args"]["models"];
  stems.update(base["models"]);
  for (const char* encoder : {"sparse_structure_encoder", "shape_slat_encoder", "tex_slat_encoder"}) {
    EXPECT_TRUE(base["models"].contains(encoder)) << encoder;
  }
  for (const auto& [key, stem] : stems.items()) {
    EXPECT_TRUE(fs::exists(file(stem.get<std::string>() + ".json"))) << key;
    EXPECT_TRUE(fs::exists(file(stem.get<std::string>() + ".safetensors"))) << key;
  }
  const fs::path encoder = file(base["image_encoder"]);
  EXPECT_TRUE(fs::exists(encoder / "config.json") && fs::exists(encoder / "model.safetensors"));
  EXPECT_FALSE(fs::exists(file("README.md"))) << "nothing is fetched that no program reads";
  EXPECT_FALSE(fs::exists(file("microsoft/TRELLIS-image-large/ckpts/slat_dec_gs.json")));
}

TEST_F(FetchBase, RecordsTheSha256OfEveryFile) {
  ASSERT_TRUE(fetch().ok());
  const json digests = record()["sha256"];
  std::vector<std::string> recorded;
  for (const auto& [place, digest] : digests.items()) {
    recorded.push_back(place);
    EXPECT_EQ(digest, sha256_hex(content(place))) << place;
  }
  auto there = files_below("");
  std::erase(there, "espalier.json");
  EXPECT_EQ(recorded, there);
}

TEST_F(FetchBase, WritesTheFieldsOfTheNanoBase) {
  ASSERT_TRUE(fetch().ok());
  const json fetched = record();
  const json nano = json::parse(*read_file(fs::path(ESP_SOURCE_DIR) / "models/nano/espalier.json"));
  for (const auto& [field, value] : nano.items()) {
    if (field == "recommended_learning_rate") continue;  // measured, not known of others' weights
    ASSERT_TRUE(fetched.contains(field)) << field;
    EXPECT_TRUE(fetched[field].type() == value.type() || value.is_number()) << field;
  }
}

TEST_F(FetchBase, LoadsNothingTheSecondTime) {
  ASSERT_TRUE(fetch().ok());
  const size_t before = hub_.byte_requests().size();
  const auto again = fetch_base(options_);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->downloaded, 0);
  EXPECT_EQ(again->files, 25);
  EXPECT_EQ(hub_.byte_requests().size(), before);
}

TEST_F(FetchBase, GoesOnWhereConnectionsBroke) {
  hub_.faults[kStructure] = {{.cut = 7'000}, {.cut = 5'000}, {.code = 503}};
  ASSERT_TRUE(fetch().ok());
  EXPECT_EQ(content(kStructure), hub_content(kStructure));
  EXPECT_THAT(ranges_of(kStructure), ElementsAre("", "bytes=7000-", "bytes=12000-", "bytes=12000-"));
}

TEST_F(FetchBase, BeginsAnewWhereTheServerServesNoParts) {
  hub_.ranges = false;
  hub_.faults[kStructure] = {{.cut = 7'000}};
  ASSERT_TRUE(fetch().ok());
  EXPECT_EQ(content(kStructure), hub_content(kStructure));
  EXPECT_THAT(ranges_of(kStructure), ElementsAre("", "bytes=7000-"));
}

TEST_F(FetchBase, KeepsThePartWhenItGivesUpAndCompletesItLater) {
  options_.hub.attempts = 2;
  hub_.faults[kStructure] = {{.cut = 7'000}, {.code = 500}, {.code = 500}};
  const Status status = fetch();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(kStructure), HasSubstr("500")));
  EXPECT_EQ(written(".part"), 7'000);
  EXPECT_FALSE(fs::exists(file(kStructure)));
  hub_.faults.clear();
  ASSERT_TRUE(fetch().ok());
  EXPECT_EQ(ranges_of(kStructure).back(), "bytes=7000-");
  EXPECT_THAT(files_below(".part"), IsEmpty());
}

TEST_F(FetchBase, LoadsABrokenPartOnceMore) {
  hub_.faults[kStructure] = {{.body = std::string(hub_content(kStructure).size(), 'x')}};
  ASSERT_TRUE(fetch().ok());
  EXPECT_EQ(content(kStructure), hub_content(kStructure));
  EXPECT_EQ(hub_.downloads_of(kStructure), 2);
}

TEST_F(FetchBase, RefusesOtherBytesThanTheHubLists) {
  for (const char* path : {"ckpts/tex_dec_next_dc_f16c32_fp16.json", kStructure}) {
    hub_.wrong_bytes = {path};
    const Status status = fetch();
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(path));
    EXPECT_FALSE(fs::exists(file(path)));
    EXPECT_THAT(files_below(".part"), IsEmpty());
  }
}

TEST_F(FetchBase, RefusesMoreBytesThanTheHubLists) {
  hub_.faults[kStructure] = {{.body = hub_content(kStructure) + "x"}};
  const Status status = fetch();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(files_below(".part"), IsEmpty());
}

TEST_F(FetchBase, LoadsSmallFilesFirst) {
  ASSERT_TRUE(fetch().ok());
  bool large = false;
  for (const auto& request : hub_.byte_requests()) {
    const bool is_large = request.target.ends_with(".safetensors");
    EXPECT_TRUE(is_large || !large) << request.target;
    large = is_large;
  }
}

TEST_F(FetchBase, LoadsWhatIsNamedAndAddsTheRestLater) {
  options_.selection.denoisers = {Denoiser::kSparseStructure};
  options_.selection.tiers = {512};
  ASSERT_TRUE(fetch().ok());
  EXPECT_THAT(files_below(".safetensors"),
              ElementsAre(kStructure, "facebook/dinov3-vitl16-pretrain-lvd1689m/model.safetensors",
                          "microsoft/TRELLIS-image-large/ckpts/ss_dec_conv3d_16l8_fp16.safetensors",
                          "microsoft/TRELLIS-image-large/ckpts/ss_enc_conv3d_16l8_fp16.safetensors"));
  EXPECT_EQ(record()["tiers"], json({512}));
  options_.selection.denoisers = {Denoiser::kGeometry};
  ASSERT_TRUE(fetch().ok());
  EXPECT_TRUE(fs::exists(file("ckpts/slat_flow_img2shape_dit_1_3B_512_bf16.safetensors")));
  EXPECT_FALSE(fs::exists(file("ckpts/slat_flow_img2shape_dit_1_3B_1024_bf16.safetensors")));
  EXPECT_EQ(record()["models"].size(), 2);
  EXPECT_EQ(hub_.downloads_of(kStructure), 1);
}

TEST_F(FetchBase, TakesAnotherImageEncoder) {
  hub_.repos["someone/dinov3"] = hub_.repos["facebook/dinov3-vitl16-pretrain-lvd1689m"];
  options_.selection.image_encoder = "someone/dinov3";
  ASSERT_TRUE(fetch().ok());
  EXPECT_EQ(record()["image_encoder"], "someone/dinov3");
  EXPECT_TRUE(fs::exists(file("someone/dinov3/model.safetensors")));
}

TEST_F(FetchBase, StaysAtTheCommitItBeganWith) {
  options_.selection.denoisers = {Denoiser::kSparseStructure};
  ASSERT_TRUE(fetch().ok());
  hub_.repos[kModelRepo].commit = std::string(40, 'd');
  options_.revision = "main";
  EXPECT_TRUE(absl::IsFailedPrecondition(fetch()));
  EXPECT_THAT(message(), AllOf(HasSubstr(std::string(40, 'a')), HasSubstr("another folder")));
  options_.revision.clear();
  EXPECT_THAT(message(), HasSubstr("no such repository, revision")) << "the folder's commit is asked for";
}

TEST_F(FetchBase, ReadsListingsOfSeveralPages) {
  hub_.page_size = 4;
  ASSERT_TRUE(fetch().ok());
  EXPECT_EQ(files_below(".safetensors").size(), 12);
}

TEST_F(FetchBase, LeavesForeignFilesAlone) {
  fs::create_directories(file("ckpts"));
  std::ofstream(file(kStructure)) << "mine";
  const Status status = fetch();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(kStructure), HasSubstr("left alone")));
  EXPECT_EQ(content(kStructure), "mine");
  EXPECT_EQ(hub_.downloads_of("ckpts/tex_dec_next_dc_f16c32_fp16.safetensors"), 0) << "it is found before the download";
}

TEST_F(FetchBase, LeavesForeignBasesAlone) {
  fs::create_directories(options_.folder);
  fs::copy(fs::path(ESP_SOURCE_DIR) / "models/nano/espalier.json", file("espalier.json"));
  const std::string before = content("espalier.json");
  EXPECT_TRUE(absl::IsFailedPrecondition(fetch()));
  EXPECT_EQ(content("espalier.json"), before);
}

TEST_F(FetchBase, TakesFilesThatAreAlreadyThere) {
  fs::create_directories(file("ckpts"));
  std::ofstream(file(kStructure), std::ios::binary) << hub_content(kStructure);
  ASSERT_TRUE(fetch().ok());
  EXPECT_EQ(hub_.downloads_of(kStructure), 0);
  EXPECT_EQ(record()["sha256"][kStructure], sha256_hex(hub_content(kStructure)));
}

TEST_F(FetchBase, ReadsCheckedFilesAgainOnlyWhenAsked) {
  ASSERT_TRUE(fetch().ok());
  std::string flipped = content(kStructure);
  flipped[100] = '#';
  std::ofstream(file(kStructure), std::ios::binary) << flipped;
  EXPECT_TRUE(fetch().ok());
  options_.verify = true;
  EXPECT_TRUE(absl::IsFailedPrecondition(fetch()));
}

TEST_F(FetchBase, LooksForRoomFirst) {
  hub_.listed_sizes[kStructure] = int64_t{1} << 49;
  const Status status = fetch();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("562.9 TB"), HasSubstr("--only")));
  EXPECT_EQ(hub_.byte_requests().size(), 1) << "only pipeline.json";
}

TEST_F(FetchBase, WorksAloneInAFolder) {
  fs::create_directories(options_.folder);
  const int fd = ::open(options_.folder.c_str(), O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(::flock(fd, LOCK_EX), 0);
  EXPECT_TRUE(absl::IsUnavailable(fetch()));
  ::close(fd);
  EXPECT_TRUE(fetch().ok());
}

TEST_F(FetchBase, StopsOnRequestAndGoesOnLater) {
  std::stop_source stop;
  options_.hub.stop = stop.get_token();
  const auto stop_when_written = [&] {
    const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (written(".part") == 0 && std::chrono::steady_clock::now() < patience) std::this_thread::yield();
    stop.request_stop();
  };
  hub_.faults[kStructure] = {{.cut = 9'000, .hold = stop_when_written}};
  const Status status = fetch();
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("goes on from here"));
  EXPECT_FALSE(fs::exists(file(kStructure)));
  options_.hub.stop = {};
  ASSERT_TRUE(fetch().ok());
  EXPECT_THAT(ranges_of(kStructure), ElementsAre("", StartsWith("bytes=")));
}

TEST_F(FetchBase, IsAVerbOfTheCommandLine) {
  ::setenv("HF_ENDPOINT", hub_.url().c_str(), 1);
  ::setenv("HF_TOKEN", "hf_secret", 1);
  std::vector<std::string> words = {
      "espalier", "--json", "fetch-base", "-o", options_.folder.string(), "--only", "geometry,sparse_structure",
      "--tiers",  "1024"};
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  ::testing::internal::CaptureStdout();
  const int code = run(static_cast<int>(argv.size()), argv.data());
  const json printed = json::parse(::testing::internal::GetCapturedStdout(), nullptr, false);
  ::unsetenv("HF_ENDPOINT");
  ::unsetenv("HF_TOKEN");
  ASSERT_EQ(code, 0) << printed;
  EXPECT_EQ(printed["base"], options_.folder.string());
  EXPECT_EQ(printed["revisions"][kModelRepo], std::string(40, 'a'));
  EXPECT_EQ(record()["tiers"], json({1024}));
  EXPECT_EQ(hub_.hub_requests().front().authorization, "Bearer hf_secret");
}

}  // namespace
}  // namespace espalier::client
