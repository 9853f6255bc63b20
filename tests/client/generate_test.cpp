#include <gmock/gmock.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "cli/app.h"
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
  using Writer = grpc::ServerWriter<v1::GenerateEvent>;

  grpc::Status Generate(grpc::ServerContext*, const v1::GenerateRequest* request, Writer* writer) override {
    asked = *request;
    return answer(std::max(request->samples(), 1), formats_of(request->formats(), *request), *writer);
  }
  grpc::Status ExtractGlb(grpc::ServerContext*, const v1::ExtractGlbRequest* request, Writer* writer) override {
    extraction = *request;
    return answer(1, formats_of(request->formats(), *request), *writer);
  }
  grpc::Status Retexture(grpc::ServerContext*, const v1::RetextureRequest* request, Writer* writer) override {
    retexturing = *request;
    return answer(1, formats_of(std::vector<int>{v1::OUTPUT_FORMAT_GLB}, *request), *writer);
  }

  template <class Formats, class Request>
  static std::vector<int> formats_of(const Formats& asked, const Request& request) {
    std::vector<int> formats(asked.begin(), asked.end());
    if (request.has_preview()) formats.push_back(v1::OUTPUT_FORMAT_PREVIEW);
    return formats;
  }

  grpc::Status answer(int samples, const std::vector<int>& formats, Writer& stream) {
    auto* writer = &stream;
    v1::GenerateEvent event;
    event.mutable_started()->set_seed(1);
    writer->Write(event);
    for (int sample = 0; sample < samples; ++sample) {
      for (const int format : formats) {
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
    event.mutable_finished()->add_objects()->set_state(state);
    writer->Write(event);
    return grpc::Status::OK;
  }

  v1::GenerateRequest asked;
  v1::ExtractGlbRequest extraction;
  v1::RetextureRequest retexturing;
  std::string state;
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

  // `espalier generate IMAGE …`.
  Status generate(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"generate", path("in.png")});
    return run(std::move(arguments));
  }

  // `espalier …`; what it prints is kept.
  Status run(std::vector<std::string> arguments) {
    Command command;
    command.inference = server_->address();
    cli::App app("espalier", "");
    for (const auto add : {add_generate, add_extract, add_retexture}) add(app, command);
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    EXPECT_TRUE(app.parse(arguments).ok());
    const Status status = command.run();
    printed_ = ::testing::internal::GetCapturedStdout();
    errors_ = ::testing::internal::GetCapturedStderr();
    return status;
  }

  TempDir folder_ = *TempDir::create();
  FakeInference service_;
  std::unique_ptr<RpcServer> server_;
  std::string printed_, errors_;
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
                                  "--texture-steps",
                                  "4",
                                  "--texture-guidance",
                                  "1.5",
                                  "--texture-size",
                                  "512",
                                  "--texture-format",
                                  "webp",
                                  "--alpha-mode",
                                  "auto",
                                  "--preset",
                                  "game",
                                  "--geometry-only",
                                  "--keep-state",
                                  "--max-num-tokens",
                                  "99",
                                  "--decimation-target",
                                  "2000",
                                  "--no-fill-holes",
                                  "--no-remesh",
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
  EXPECT_EQ(asked.texture().steps(), 4);
  EXPECT_EQ(asked.texture().guidance_strength(), 1.5);
  EXPECT_EQ(asked.mesh().texture_size(), 512);
  EXPECT_EQ(asked.mesh().texture_format(), v1::TEXTURE_FORMAT_WEBP);
  EXPECT_EQ(asked.mesh().alpha_mode(), v1::ALPHA_MODE_AUTO);
  EXPECT_EQ(asked.mesh().preset(), v1::PRESET_GAME);
  EXPECT_TRUE(asked.mesh().geometry_only());
  EXPECT_TRUE(asked.keep_state());
  EXPECT_EQ(asked.max_num_tokens(), 99);
  EXPECT_EQ(asked.mesh().decimation_target(), 2000);
  EXPECT_FALSE(asked.mesh().fill_holes());
  EXPECT_TRUE(asked.mesh().has_remesh() && !asked.mesh().remesh());
  EXPECT_EQ(asked.background_removal(), v1::BACKGROUND_REMOVAL_KEYER);
  EXPECT_THAT(errors_, HasSubstr("the resolution was lowered"));
}

TEST_F(GenerateTest, GetsAPreviewWithEveryVerb) {
  const std::vector<std::string> preview = {"-o",  path("m.glb"),     "--preview", path("m.png"), "--preview-size",
                                            "256", "--preview-views", "4"};
  const auto expect_asked = [&](const v1::PreviewOptions& asked) {
    EXPECT_EQ(asked.size(), 256);
    EXPECT_EQ(asked.views(), 4);
    EXPECT_EQ(*read_file(path("m.png")), absl::StrCat("format ", v1::OUTPUT_FORMAT_PREVIEW, " sample 0"));
    std::filesystem::remove(path("m.png"));
  };
  const auto with_preview = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), preview.begin(), preview.end());
    return run(arguments);
  };
  ASSERT_TRUE(generate(preview).ok());
  expect_asked(service_.asked.preview());
  EXPECT_THAT(service_.asked.formats(), ElementsAre(v1::OUTPUT_FORMAT_GLB));
  ASSERT_TRUE(with_preview({"extract", "st1.0"}).ok());
  expect_asked(service_.extraction.preview());
  ASSERT_TRUE(write_file_atomic(path("m.obj"), "mesh").ok());
  ASSERT_TRUE(with_preview({"retexture", "--mesh", path("m.obj"), "--image", path("in.png")}).ok());
  expect_asked(service_.retexturing.preview());
}

TEST_F(GenerateTest, LeavesOutWhatIsNotGiven) {
  ASSERT_TRUE(generate({"-o", path("m.glb")}).ok());
  v1::GenerateRequest plain;
  plain.set_image("picture");
  plain.add_formats(v1::OUTPUT_FORMAT_GLB);
  plain.mutable_mesh();
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

TEST_F(GenerateTest, PrintsTheStateThatWasKept) {
  service_.state = "st1.abc";
  ASSERT_TRUE(generate({"-o", path("m.glb"), "--keep-state"}).ok());
  EXPECT_THAT(printed_, HasSubstr("state st1.abc until 1970-01-01 00:00 UTC"));
  service_.state = "";
  ASSERT_TRUE(generate({"-o", path("m.glb")}).ok());
  EXPECT_THAT(printed_, ::testing::Not(HasSubstr("state")));
}

TEST_F(GenerateTest, ExtractsFilesOfAState) {
  const Status status = run({"extract", "st1.abc", "-o", path("m.glb"), "-o", path("m.ply"), "--preset", "mobile",
                             "--decimation-target", "3000", "--no-remesh"});
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(service_.extraction.state(), "st1.abc");
  EXPECT_THAT(service_.extraction.formats(), ElementsAre(v1::OUTPUT_FORMAT_GLB, v1::OUTPUT_FORMAT_PLY));
  EXPECT_EQ(service_.extraction.mesh().preset(), v1::PRESET_MOBILE);
  EXPECT_EQ(service_.extraction.mesh().decimation_target(), 3000);
  EXPECT_TRUE(service_.extraction.mesh().has_remesh() && !service_.extraction.mesh().remesh());
  EXPECT_EQ(read_file(path("m.glb")).value_or("missing"), "format 1 sample 0");
  EXPECT_EQ(read_file(path("m.ply")).value_or("missing"), "format 3 sample 0");
}

TEST_F(GenerateTest, RetexturesAMesh) {
  ASSERT_TRUE(write_file_atomic(path("chair.OBJ"), "v 0 0 0").ok());
  const std::vector<std::string> asked = {"retexture",
                                          "--mesh",
                                          path("chair.OBJ"),
                                          "--image",
                                          path("in.png"),
                                          "-o",
                                          path("m.glb"),
                                          "--seed",
                                          "7",
                                          "--resolution",
                                          "1024",
                                          "--adapter",
                                          path("a.safetensors"),
                                          "--texture-steps",
                                          "3",
                                          "--keep-uvs",
                                          "--alpha-mode",
                                          "mask"};
  const Status status = run(asked);
  ASSERT_TRUE(status.ok()) << status;
  const v1::RetextureRequest& request = service_.retexturing;
  EXPECT_EQ(request.mesh_file(), "v 0 0 0");
  EXPECT_EQ(request.mesh_format(), v1::OUTPUT_FORMAT_OBJ);
  EXPECT_EQ(request.image(), "picture");
  EXPECT_EQ(request.seed(), 7u);
  EXPECT_EQ(request.resolution(), 1024);
  EXPECT_EQ(request.adapters(0).inline_file(), "adapter");
  EXPECT_EQ(request.texture().steps(), 3);
  EXPECT_TRUE(request.keep_uvs());
  EXPECT_EQ(request.mesh().alpha_mode(), v1::ALPHA_MODE_MASK);
  EXPECT_EQ(read_file(path("m.glb")).value_or("missing"), "format 1 sample 0");

  const Status elsewhere =
      run({"retexture", "--mesh", path("chair.OBJ"), "--image", path("in.png"), "-o", path("m.stl")});
  EXPECT_TRUE(absl::IsInvalidArgument(elsewhere)) << elsewhere;
  const Status unknown = run({"retexture", "--mesh", path("chair.blend"), "--image", path("in.png")});
  EXPECT_THAT(std::string(unknown.message()), HasSubstr("--mesh"));
}

}  // namespace
}  // namespace espalier::client
