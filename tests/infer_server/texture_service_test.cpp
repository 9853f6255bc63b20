#include <gmock/gmock.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <fstream>

#include "common/files.h"
#include "infer/program/mesh_import.h"
#include "rpc/channel.h"
#include "rpc/status.h"
#include "tests/infer_server/service_fixture.h"

namespace espalier::infer {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr const char* kTetrahedron = "v 1 1 1\nv 2 1 1\nv 1 2 1\nv 1 1 2\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n";

// A service with states, on an engine whose random base has a texture. Callers are tenants by their key.
class TextureServiceTest : public ServiceFixture {
 protected:
  static void SetUpTestSuite() { open_base(write_tiny_texture_base); }

  void SetUp() override { serve(); }

  // Also again, as after a restart. Reads `import_mesh_`.
  void serve(bool with_states = true) {
    stop();
    states_.reset();
    InferenceServiceOptions options;
    options.scratch = folder_->path();
    options.import_mesh = import_mesh_;
    options.admit = [](const CallerEntries& caller) -> Result<Caller> { return Caller{caller.authorization, {}}; };
    if (with_states) {
      StateStoreOptions state_options;
      state_options.folder = state_folder();
      auto states = StateStore::open(state_options);
      ASSERT_TRUE(states.ok()) << states.status();
      states_ = *std::move(states);
      options.states = states_.get();
    }
    start(options);
  }

  std::filesystem::path state_folder() const { return own_.path() / "states"; }

  struct Answer {
    Status status;
    std::string file;     // of all but the preview
    std::string preview;  // likewise
    v1::GeneratedFile preview_file;
    v1::GenerateFinished finished;
  };

  template <class Request>
  Answer call(const Request& request, const std::string& key = "key_1") {
    const auto stub = caller(key);
    grpc::ClientContext context;
    set_deadline(context, std::chrono::seconds(60));
    const auto reader = begin(*stub, context, request);
    Answer answer;
    bool previewing = false;
    v1::GenerateEvent event;
    while (reader->Read(&event)) {
      if (event.has_file()) {
        previewing = event.file().format() == v1::OUTPUT_FORMAT_PREVIEW;
        if (previewing) answer.preview_file = event.file();
      }
      if (event.has_chunk()) (previewing ? answer.preview : answer.file) += event.chunk().data();
      if (event.has_finished()) answer.finished = event.finished();
    }
    answer.status = from_grpc(reader->Finish());
    return answer;
  }

  static v1::GenerateRequest generation() {
    v1::GenerateRequest request;
    request.set_image(picture());
    request.set_seed(7);
    request.mutable_mesh()->set_texture_size(64);
    request.mutable_mesh()->set_decimation_target(1000);
    request.set_keep_state(true);
    return request;
  }

  static v1::ExtractGlbRequest extraction(const std::string& state) {
    v1::ExtractGlbRequest request;
    request.set_state(state);
    *request.mutable_mesh() = generation().mesh();
    return request;
  }

  static v1::RetextureRequest retexturing() {
    v1::RetextureRequest request;
    request.set_mesh_file(kTetrahedron);
    request.set_mesh_format(v1::OUTPUT_FORMAT_OBJ);
    request.set_image(picture());
    request.set_seed(7);
    request.mutable_mesh()->set_texture_size(64);
    return request;
  }

  TempDir own_ = *TempDir::create();
  ImportMesh import_mesh_ = confined_import({});
  std::unique_ptr<StateStore> states_;

 private:
  using Stub = v1::InferenceService::Stub;
  static auto begin(Stub& stub, grpc::ClientContext& context, const v1::GenerateRequest& request) {
    return stub.Generate(&context, request);
  }
  static auto begin(Stub& stub, grpc::ClientContext& context, const v1::ExtractGlbRequest& request) {
    return stub.ExtractGlb(&context, request);
  }
  static auto begin(Stub& stub, grpc::ClientContext& context, const v1::RetextureRequest& request) {
    return stub.Retexture(&context, request);
  }
};

TEST_F(TextureServiceTest, KeepsAStateThatGivesTheSameFilesAgain) {
  const Answer made = call(generation());
  ASSERT_TRUE(made.status.ok()) << made.status;
  EXPECT_TRUE(made.finished.textured());
  const v1::GeneratedObject& object = made.finished.objects(0);
  ASSERT_THAT(object.state(), ::testing::StartsWith("st1."));
  EXPECT_GT(object.state_expire_time().seconds(), time(nullptr));
  for (int i = 0; i < 2; ++i) {
    const Answer again = call(extraction(object.state()));
    ASSERT_TRUE(again.status.ok()) << again.status;
    EXPECT_EQ(again.file, made.file);
    EXPECT_THAT(again.finished.objects(0).state(), IsEmpty());
  }
  serve();  // the service is started again
  EXPECT_EQ(call(extraction(object.state())).file, made.file);
}

TEST_F(TextureServiceTest, KeepsNothingUnasked) {
  v1::GenerateRequest request = generation();
  request.set_keep_state(false);
  EXPECT_THAT(call(request).finished.objects(0).state(), IsEmpty());
  EXPECT_TRUE(std::filesystem::is_empty(state_folder() / "kept"));
}

TEST_F(TextureServiceTest, HidesAStateFromOtherTenants) {
  const std::string state = call(generation()).finished.objects(0).state();
  const Answer stranger = call(extraction(state), "key_2"), unknown = call(extraction("st1.0"), "key_2");
  EXPECT_TRUE(absl::IsNotFound(stranger.status)) << stranger.status;
  EXPECT_EQ(stranger.status.message(), unknown.status.message());
}

TEST_F(TextureServiceTest, SaysThatAStoredStateIsDamaged) {
  const std::string state = call(generation()).finished.objects(0).state();
  const auto file = states_->find("Key key_1:x", state);
  ASSERT_TRUE(file.ok()) << file.status();
  std::ofstream(*file, std::ios::trunc) << "garbage";
  const Answer refused = call(extraction(state));
  EXPECT_EQ(refused.status.code(), absl::StatusCode::kDataLoss) << refused.status;
}

TEST_F(TextureServiceTest, DeliversTheFilesWhereAStateFindsNoRoom) {
  StateStoreOptions small;
  small.folder = own_.path() / "small";
  small.max_bytes = 1;
  auto states = StateStore::open(small);
  ASSERT_TRUE(states.ok()) << states.status();
  stop();
  states_ = *std::move(states);
  InferenceServiceOptions options;
  options.states = states_.get();
  start(options);
  const Answer answer = call(generation());
  ASSERT_TRUE(answer.status.ok()) << answer.status;
  EXPECT_THAT(answer.file, Not(IsEmpty()));
  EXPECT_THAT(answer.finished.objects(0).state(), IsEmpty());
  EXPECT_THAT(answer.finished.warnings(), ElementsAre(HasSubstr("storage of states is full")));
}

TEST_F(TextureServiceTest, SaysThatItKeepsNoStates) {
  serve(/*with_states=*/false);
  EXPECT_THAT(field_faults(call(generation()).status), ElementsAre(Field(&FieldFault::field, "keep_state")));
  EXPECT_TRUE(absl::IsFailedPrecondition(call(extraction("st1.0")).status));
}

TEST_F(TextureServiceTest, PresetsGiveWayToWhatIsSaid) {
  v1::GenerateRequest request = generation();
  request.mutable_mesh()->set_preset(v1::PRESET_LOWPOLY);
  const Answer explicit_size = call(request);
  ASSERT_TRUE(explicit_size.status.ok()) << explicit_size.status;
  EXPECT_EQ(explicit_size.file, call(generation()).file) << "both are said";
  request.mutable_mesh()->clear_texture_size();
  const Answer preset = call(request);
  ASSERT_TRUE(preset.status.ok()) << preset.status;
  EXPECT_NE(preset.file, explicit_size.file);
  request.mutable_mesh()->set_texture_size(512);
  EXPECT_EQ(call(request).file, preset.file);
}

TEST_F(TextureServiceTest, SendsAPreviewBesideTheFiles) {
  v1::GenerateRequest request = generation();
  request.mutable_preview()->set_size(64);
  request.mutable_preview()->set_views(2);
  const Answer made = call(request);
  ASSERT_TRUE(made.status.ok()) << made.status;
  EXPECT_EQ(made.preview_file.name(), "preview.png");
  EXPECT_EQ(made.preview_file.content_type(), "image/png");
  EXPECT_EQ(made.preview.substr(1, 3), "PNG");
  const Answer plain = call(generation());
  EXPECT_EQ(made.file, plain.file) << "the files are those of a request without";
  EXPECT_EQ(plain.preview, "");

  v1::ExtractGlbRequest again = extraction(made.finished.objects(0).state());
  *again.mutable_preview() = request.preview();
  EXPECT_EQ(call(again).preview, made.preview);
  v1::RetextureRequest retexture = retexturing();
  retexture.mutable_preview()->set_size(64);
  EXPECT_EQ(call(retexture).preview.substr(1, 3), "PNG");
}

TEST_F(TextureServiceTest, NamesEveryFaultyFieldOfAPreview) {
  v1::GenerateRequest bad = generation();
  bad.add_formats(v1::OUTPUT_FORMAT_PREVIEW);
  bad.mutable_preview()->set_size(0);
  bad.mutable_preview()->set_views(9);
  EXPECT_THAT(field_faults(call(bad).status),
              ElementsAre(Field(&FieldFault::field, "preview.size"), Field(&FieldFault::field, "preview.views"),
                          Field(&FieldFault::field, "formats[0]")));
  v1::RetextureRequest retexture = retexturing();
  retexture.mutable_preview()->set_views(0);
  EXPECT_THAT(field_faults(call(retexture).status), ElementsAre(Field(&FieldFault::field, "preview.views")));
}

TEST_F(TextureServiceTest, NamesEveryFaultyField) {
  v1::GenerateRequest bad = generation();
  bad.mutable_mesh()->set_texture_size(65);
  bad.mutable_mesh()->set_texture_format(static_cast<v1::TextureFormat>(9));
  bad.mutable_mesh()->set_alpha_mode(static_cast<v1::AlphaMode>(-1));
  bad.mutable_mesh()->set_preset(static_cast<v1::Preset>(9));
  bad.mutable_texture()->set_steps(0);
  EXPECT_THAT(field_faults(call(bad).status),
              ElementsAre(Field(&FieldFault::field, "mesh.texture_format"),
                          Field(&FieldFault::field, "mesh.alpha_mode"), Field(&FieldFault::field, "mesh.preset"),
                          Field(&FieldFault::field, "mesh.texture_size"), Field(&FieldFault::field, "texture.steps")));
  v1::ExtractGlbRequest extraction_of_all = extraction(call(generation()).finished.objects(0).state());
  extraction_of_all.add_formats(v1::OUTPUT_FORMAT_OCCUPANCY);
  extraction_of_all.mutable_mesh()->set_decimation_target(1);
  EXPECT_THAT(
      field_faults(call(extraction_of_all).status),
      ElementsAre(Field(&FieldFault::field, "mesh.decimation_target"), Field(&FieldFault::field, "formats[0]")));
}

TEST_F(TextureServiceTest, RetexturesAMesh) {
  const Answer answer = call(retexturing());
  ASSERT_TRUE(answer.status.ok()) << answer.status;
  EXPECT_EQ(answer.file.substr(0, 4), "glTF");
  EXPECT_NE(answer.file.find("baseColorTexture"), std::string::npos);
  EXPECT_EQ(answer.finished.representation(), v1::REPRESENTATION_GIVEN_MESH);
  EXPECT_EQ(answer.finished.objects(0).triangles(), 4);
}

TEST_F(TextureServiceTest, ReadsStrangersMeshesInTheImporter) {
  v1::RetextureRequest broken = retexturing(), outside = retexturing(), empty = retexturing();
  broken.set_mesh_format(v1::OUTPUT_FORMAT_GLB);
  outside.set_mesh_format(v1::OUTPUT_FORMAT_VXZ);
  empty.clear_mesh_file();
  for (const auto* request : {&broken, &empty}) {
    EXPECT_THAT(field_faults(call(*request).status), ::testing::Contains(Field(&FieldFault::field, "mesh_file")));
  }
  EXPECT_THAT(field_faults(call(outside).status), ::testing::Contains(Field(&FieldFault::field, "mesh_format")));
  std::vector<std::string> seen;
  import_mesh_ = [&](const std::filesystem::path& folder, const std::string& file,
                     std::stop_token) -> Result<mesh::Scene> {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) seen.push_back(entry.path().filename());
    seen.push_back(file);
    return absl::UnavailableError("no process can be started");
  };
  serve();
  EXPECT_TRUE(absl::IsUnavailable(call(retexturing()).status));
  EXPECT_THAT(seen, ElementsAre("mesh.obj", "mesh.obj")) << "nothing else lies beside it";
  import_mesh_ = nullptr;
  serve();
  EXPECT_TRUE(absl::IsFailedPrecondition(call(retexturing()).status));
}

TEST_F(TextureServiceTest, NamesTheFieldsThatRetexturingHasNot) {
  v1::RetextureRequest bad = retexturing();
  bad.mutable_mesh()->set_remesh(true);
  bad.mutable_mesh()->set_decimation_target(2000);
  bad.set_keep_uvs(true);
  bad.set_resolution(3);
  EXPECT_THAT(field_faults(call(bad).status),
              ElementsAre(Field(&FieldFault::field, "mesh.decimation_target"), Field(&FieldFault::field, "mesh.remesh"),
                          Field(&FieldFault::field, "resolution"), Field(&FieldFault::field, "keep_uvs")));
}

}  // namespace
}  // namespace espalier::infer
