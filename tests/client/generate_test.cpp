#include <gmock/gmock.h>

#include <CLI/CLI.hpp>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "client/command.h"
#include "common/files.h"
#include "common/sha256.h"
#include "espalier/v1/inference.grpc.pb.h"
#include "rpc/server.h"
#include "rpc/status.h"

namespace espalier::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Answers every request with a file per format and sample, whose bytes say which it is.
class FakeInference final : public v1::InferenceService::Service {
 public:
  grpc::Status Generate(grpc::ServerContext*, const v1::GenerateRequest* request,
                        grpc::ServerWriter<v1::GenerateEvent>* writer) override {
    asked = *request;
    v1::GenerateEvent event;
    event.mutable_started()->set_seed(1);
    writer->Write(event);
    for (int sample = 0; sample < std::max(request->samples(), 1); ++sample) {
      for (const int format : request->formats()) {
        const std::string bytes = absl::StrCat("format ", format, " sample ", sample);
        auto& file = *event.mutable_file();
        file.set_name("model");
        file.set_format(static_cast<v1::OutputFormat>(format));
        file.set_sample(sample);
        file.set_sha256(sha256_hex(broken ? "other" : bytes));
        writer->Write(event);
        event.mutable_chunk()->set_data(bytes);
        writer->Write(event);
      }
    }
    event.mutable_finished()->add_warnings("the resolution was lowered");
    writer->Write(event);
    return grpc::Status::OK;
  }

  v1::GenerateRequest asked;
  bool broken = false;
};

class GenerateTest : public ::testing::Test {
 protected:
  void SetUp() override {
    server_ = *RpcServer::start({}, {&service_});
    ASSERT_TRUE(write_file_atomic(path("in.png"), "picture").ok());
    ASSERT_TRUE(write_file_atomic(path("a.safetensors"), "adapter").ok());
  }

  std::string path(const std::string& name) const { return (folder_.path() / name).string(); }

  // `espalier generate IMAGE …`; what it prints on stderr is kept.
  Status generate(std::vector<std::string> arguments) {
    Command command;
    command.inference = server_->address();
    CLI::App app;
    add_generate(app, command);
    arguments.insert(arguments.begin(), {"generate", path("in.png")});
    std::reverse(arguments.begin(), arguments.end());
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    app.parse(arguments);
    const Status status = command.run();
    ::testing::internal::GetCapturedStdout();
    errors_ = ::testing::internal::GetCapturedStderr();
    return status;
  }

  TempDir folder_ = *TempDir::create();
  FakeInference service_;
  std::unique_ptr<RpcServer> server_;
  std::string errors_;
};

TEST_F(GenerateTest, AsksForWhatTheCommandLineSays) {
  const Status status = generate({"-o",
                                  path("m.glb"),
                                  "--output",
                                  path("m.vxz"),
                                  "--occupancy",
                                  path("cells.npz"),
                                  "--adapter",
                                  path("a.safetensors") + ":0.5",
                                  "--low-resolution-adapter",
                                  path("a.safetensors"),
                                  "--seed",
                                  "7",
                                  "--pipeline",
                                  "1024_cascade",
                                  "--resolution",
                                  "1024",
                                  "--stop-after",
                                  "geometry",
                                  "--steps",
                                  "5",
                                  "--guidance",
                                  "2",
                                  "--shape-steps",
                                  "6",
                                  "--shape-guidance",
                                  "3",
                                  "--max-num-tokens",
                                  "99",
                                  "--decimation-target",
                                  "2000",
                                  "--no-fill-holes",
                                  "--remesh",
                                  "--background",
                                  "keyer"});
  ASSERT_TRUE(status.ok()) << status;
  const v1::GenerateRequest& asked = service_.asked;
  EXPECT_EQ(asked.image(), "picture");
  EXPECT_THAT(asked.formats(), ElementsAre(v1::OUTPUT_FORMAT_GLB, v1::OUTPUT_FORMAT_VXZ, v1::OUTPUT_FORMAT_OCCUPANCY));
  ASSERT_EQ(asked.adapters_size(), 2);
  EXPECT_EQ(asked.adapters(0).scale(), 0.5);
  EXPECT_FALSE(asked.adapters(0).low_resolution());
  EXPECT_TRUE(asked.adapters(1).low_resolution());
  EXPECT_FALSE(asked.adapters(1).has_scale());
  EXPECT_EQ(asked.adapters(1).inline_file(), "adapter");
  EXPECT_EQ(asked.seed(), 7u);
  EXPECT_EQ(asked.pipeline_type(), v1::PIPELINE_TYPE_1024_CASCADE);
  EXPECT_EQ(asked.resolution(), 1024);
  EXPECT_EQ(asked.stop_after(), v1::DENOISER_GEOMETRY);
  EXPECT_EQ(asked.sparse_structure().steps(), 5);
  EXPECT_EQ(asked.sparse_structure().guidance_strength(), 2);
  EXPECT_EQ(asked.shape().steps(), 6);
  EXPECT_EQ(asked.shape().guidance_strength(), 3);
  EXPECT_EQ(asked.max_num_tokens(), 99);
  EXPECT_EQ(asked.mesh().decimation_target(), 2000);
  EXPECT_FALSE(asked.mesh().fill_holes());
  EXPECT_TRUE(asked.mesh().remesh());
  EXPECT_EQ(asked.background_removal(), v1::BACKGROUND_REMOVAL_KEYER);
  EXPECT_THAT(errors_, HasSubstr("the resolution was lowered"));
}

TEST_F(GenerateTest, LeavesOutWhatIsNotGiven) {
  ASSERT_TRUE(generate({"-o", path("m.glb")}).ok());
  v1::GenerateRequest plain;
  plain.set_image("picture");
  plain.add_formats(v1::OUTPUT_FORMAT_GLB);
  EXPECT_EQ(service_.asked.SerializeAsString(), plain.SerializeAsString());
}

TEST_F(GenerateTest, WritesEachFileWhereItsFormatWasAskedFor) {
  ASSERT_TRUE(generate({"-o", path("a.stl"), "-o", path("b.OBJ"), "--samples", "2"}).ok());
  const struct {
    const char* file;
    const char* bytes;
  } rows[] = {{"a_0.stl", "format 4 sample 0"},
              {"a_1.stl", "format 4 sample 1"},
              {"b_0.OBJ", "format 2 sample 0"},
              {"b_1.OBJ", "format 2 sample 1"}};
  for (const auto& row : rows) EXPECT_EQ(read_file(path(row.file)).value_or("missing"), row.bytes);
}

TEST_F(GenerateTest, RefusesOutputsOfUnknownKind) {
  for (const char* name : {"m.fbx", "m", "m.occupancy", "m.unspecified"}) {
    const Status status = generate({"-o", path(name)});
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("must end in .glb"));
  }
  EXPECT_TRUE(absl::IsInvalidArgument(generate({"--pipeline", "2048"})));
}

TEST_F(GenerateTest, KeepsNoFileThatArrivedBroken) {
  service_.broken = true;
  EXPECT_TRUE(absl::IsDataLoss(generate({"-o", path("m.glb")})));
  EXPECT_FALSE(std::filesystem::exists(path("m.glb")));
}

}  // namespace
}  // namespace espalier::client
