#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/app.h"
#include "client/command.h"
#include "common/exit_codes.h"
#include "common/files.h"
#include "common/sha256.h"
#include "espalier/v1/adapters.grpc.pb.h"
#include "espalier/v1/artefacts.grpc.pb.h"
#include "espalier/v1/datasets.grpc.pb.h"
#include "rpc/channel.h"
#include "rpc/server.h"
#include "tests/client/command_line.h"

namespace espalier::client {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr char kBytes[] = "the bytes of an adapter";
constexpr int kAdapters = 5;

const grpc::Status kGone(grpc::StatusCode::NOT_FOUND, "no such thing");

v1::Adapter adapter_of(int number) {
  v1::Adapter adapter;
  adapter.set_adapter_id(absl::StrCat("adp_", number));
  adapter.set_artefact_id("art_1");
  adapter.set_denoiser(v1::DENOISER_GEOMETRY);
  adapter.set_rank(16);
  adapter.set_learning_rate(2e-3);
  adapter.set_job_id("job_1");
  return adapter;
}

// Five adapters in pages of two, the newest first.
class FakeAdapters final : public v1::AdapterService::Service {
 public:
  grpc::Status GetAdapter(grpc::ServerContext*, const v1::GetAdapterRequest* request,
                          v1::GetAdapterResponse* response) override {
    if (request->adapter_id() != "adp_1") return kGone;
    *response->mutable_adapter() = adapter_of(1);
    return grpc::Status::OK;
  }
  grpc::Status ListAdapters(grpc::ServerContext*, const v1::ListAdaptersRequest* request,
                            v1::ListAdaptersResponse* response) override {
    last_ = *request;
    int next = kAdapters;
    if (!request->page().page_token().empty() && !absl::SimpleAtoi(request->page().page_token(), &next)) return kGone;
    for (int left = std::min(2, request->page().page_size()); left > 0 && next > 0; --left) {
      *response->add_adapters() = adapter_of(next--);
    }
    if (next > 0) response->set_next_page_token(absl::StrCat(next));
    return grpc::Status::OK;
  }
  v1::ListAdaptersRequest last_;
};

class FakeDatasets final : public v1::DatasetService::Service {
 public:
  FakeDatasets() {
    dataset_.set_dataset_id("dat_1");
    dataset_.set_artefact_id("art_1");
    dataset_.set_objects(6);
    dataset_.add_denoisers(v1::DENOISER_TEXTURE);
    v1::ObjectReport& report = *dataset_.add_failed_objects();
    report.set_path("a/broken.glb");
    report.set_code("EMPTY_MESH");
  }
  grpc::Status GetDataset(grpc::ServerContext*, const v1::GetDatasetRequest*,
                          v1::GetDatasetResponse* response) override {
    *response->mutable_dataset() = dataset_;
    return grpc::Status::OK;
  }
  grpc::Status ListDatasets(grpc::ServerContext*, const v1::ListDatasetsRequest*,
                            v1::ListDatasetsResponse* response) override {
    *response->add_datasets() = dataset_;
    return grpc::Status::OK;
  }

 private:
  v1::Dataset dataset_;
};

class FakeArtefacts final : public v1::ArtefactService::Service {
 public:
  FakeArtefacts() {
    artefact_.set_artefact_id("art_1");
    artefact_.set_kind(v1::ARTEFACT_KIND_LOG);
    artefact_.set_file_name("../metrics.jsonl");
    artefact_.set_size_bytes(sizeof kBytes - 1);
    artefact_.set_sha256(sha256_hex(kBytes));
  }
  grpc::Status GetArtefact(grpc::ServerContext*, const v1::GetArtefactRequest*,
                           v1::GetArtefactResponse* response) override {
    *response->mutable_artefact() = artefact_;
    return grpc::Status::OK;
  }
  grpc::Status ListArtefacts(grpc::ServerContext*, const v1::ListArtefactsRequest* request,
                             v1::ListArtefactsResponse* response) override {
    if (request->kind() == artefact_.kind()) *response->add_artefacts() = artefact_;
    return grpc::Status::OK;
  }
  grpc::Status Download(grpc::ServerContext*, const v1::DownloadRequest* request,
                        grpc::ServerWriter<v1::DownloadResponse>* writer) override {
    if (request->artefact_id() != "art_1") return kGone;
    v1::DownloadResponse part;
    *part.mutable_artefact() = artefact_;
    writer->Write(part);
    part.set_data(std::string(kBytes).substr(request->offset()));
    writer->Write(part);
    return grpc::Status::OK;
  }

 private:
  v1::Artefact artefact_;
};

class CatalogueTest : public ::testing::Test {
 protected:
  Output run(const std::vector<std::string>& arguments, bool json = false) {
    Command command;
    command.coordinator = (*server_)->address();
    command.json = json;
    command.channel = make_channel(command.coordinator);
    return run_client(command, {add_adapters, add_datasets, add_artefacts}, arguments);
  }
  // Lines of the answer.
  std::vector<std::string> lines(const std::vector<std::string>& arguments, bool json = false) {
    const Output output = run(arguments, json);
    EXPECT_TRUE(output.status.ok()) << output.status;
    return absl::StrSplit(output.text, '\n', absl::SkipEmpty());
  }
  void expect_downloaded(const Output& output, const fs::path& file) {
    ASSERT_TRUE(output.status.ok()) << output.status;
    EXPECT_THAT(output.text, HasSubstr(file.string()));
    const auto bytes = read_file(file);
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    EXPECT_EQ(*bytes, kBytes);
  }

  FakeAdapters adapters_;
  FakeDatasets datasets_;
  FakeArtefacts artefacts_;
  Result<std::unique_ptr<RpcServer>> server_ = RpcServer::start({}, {&adapters_, &datasets_, &artefacts_});
  TempDir folder_ = *TempDir::create("catalogue");
};

TEST_F(CatalogueTest, ListsPageByPageUntilTheLimit) {
  const auto all = lines({"adapters", "list"});
  ASSERT_EQ(all.size(), size_t{kAdapters});
  EXPECT_THAT(all.front(), HasSubstr("adp_5"));
  EXPECT_EQ(lines({"adapters", "list", "--limit", "3"}).size(), 3u);
  const auto json = lines({"adapters", "list", "--limit", "1"}, /*json=*/true);
  ASSERT_EQ(json.size(), 1u);
  EXPECT_EQ(nlohmann::json::parse(json[0])["adapter_id"], "adp_5");
}

TEST_F(CatalogueTest, NarrowsListings) {
  EXPECT_TRUE(run({"adapters", "list", "--job", "job_7", "--denoiser", "geometry"}).status.ok());
  EXPECT_EQ(adapters_.last_.job_id(), "job_7");
  EXPECT_EQ(adapters_.last_.denoiser(), v1::DENOISER_GEOMETRY);
  EXPECT_EQ(lines({"artefacts", "list", "--kind", "log"}).size(), 1u);
  EXPECT_EQ(lines({"artefacts", "list", "--kind", "archive"}).size(), 0u);
  EXPECT_TRUE(absl::IsInvalidArgument(run({"artefacts", "list", "--kind", "video"}).status));
}

TEST_F(CatalogueTest, ShowsOneOfEach) {
  EXPECT_THAT(run({"adapters", "show", "adp_1"}).text, HasSubstr("rank 16, 0 steps, learning rate 0.002"));
  EXPECT_EQ(run({"adapters", "show", "adp_1"}, /*json=*/true).json()["denoiser"], "DENOISER_GEOMETRY");
  EXPECT_THAT(run({"datasets", "show", "dat_1"}).text, HasSubstr("left out a/broken.glb: EMPTY_MESH"));
  EXPECT_THAT(lines({"datasets", "list"}).front(), HasSubstr("texture"));
  EXPECT_THAT(run({"artefacts", "show", "art_1"}).text, HasSubstr("log"));
  EXPECT_TRUE(absl::IsNotFound(run({"adapters", "show", "adp_9"}).status));
}

TEST_F(CatalogueTest, CtrlCEndsACallWithACodeOfItsOwn) {
  std::stop_source ctrl_c;
  ctrl_c.request_stop();
  Command command;
  command.channel = make_channel((*server_)->address());
  command.stop = ctrl_c.get_token();
  const Status status = run_client(command, {add_adapters}, {"adapters", "list"}).status;
  EXPECT_EQ(exit_code(status), kExitCancelled) << status;
}

TEST_F(CatalogueTest, DownloadsToAFileOrIntoAFolder) {
  const fs::path folder = folder_.path();
  expect_downloaded(run({"adapters", "download", "adp_1", "-o", folder}), folder / "adp_1.safetensors");
  expect_downloaded(run({"datasets", "download", "dat_1", "-o", folder / "mine.zip"}), folder / "mine.zip");
  expect_downloaded(run({"artefacts", "download", "art_1", "-o", folder}), folder / "metrics.jsonl");
  const Output json = run({"artefacts", "download", "art_1", "-o", folder / "again"}, /*json=*/true);
  EXPECT_EQ(json.json()["sha256"], sha256_hex(kBytes));
}

TEST_F(CatalogueTest, GoesOnWithWhatAFailedDownloadLeft) {
  const fs::path file = folder_.path() / "adapter.safetensors";
  ASSERT_TRUE(write_file_atomic(file.string() + ".part", std::string(kBytes).substr(0, 9)).ok());
  expect_downloaded(run({"adapters", "download", "adp_1", "-o", file}), file);
  EXPECT_FALSE(fs::exists(file.string() + ".part"));
}

}  // namespace
}  // namespace espalier::client
