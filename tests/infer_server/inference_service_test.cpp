#include "infer/server/inference_service.h"

#include <gmock/gmock.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <atomic>
#include <thread>

#include "common/files.h"
#include "common/sha256.h"
#include "rpc/channel.h"
#include "rpc/status.h"
#include "tests/infer_server/service_fixture.h"

namespace espalier::infer {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;

class InferenceServiceTest : public ServiceFixture {
 protected:
  static void SetUpTestSuite() {
    open_base(write_tiny_base);
    ASSERT_TRUE(write_tiny_adapter(adapter_file(), 1));
  }

  void SetUp() override { serve(engine_); }

  void serve(Engine* engine) {
    InferenceServiceOptions options;
    options.scratch = folder_->path();
    options.admit = [this](const CallerEntries& caller) -> Result<Caller> {
      if (caller.authorization == "Key key_stranger:x") return absl::PermissionDeniedError("no role");
      return Caller{"ten_1", [this](const std::string& id, const std::filesystem::path& file, std::stop_token stop) {
                      return fetch(id, file, stop);
                    }};
    };
    start(options, engine);
    stub_ = caller();
  }

  Status fetch(const std::string& id, const std::filesystem::path& file, const std::stop_token& stop) {
    if (id == "art_slow") return fetch_until_stopped(stop);
    if (id != "art_good") return absl::NotFoundError("no artefact " + id);
    ESP_ASSIGN(const std::string bytes, read_file(adapter_file()));
    return write_file_atomic(file, bytes);
  }

  Status fetch_until_stopped(const std::stop_token& stop) {
    fetching_ = true;
    while (!stop.stop_requested()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    fetching_ = false;
    return absl::CancelledError("stopped");
  }

  static std::filesystem::path adapter_file() { return file("adapter.safetensors"); }

  static v1::GenerateRequest request() {
    v1::GenerateRequest request;
    request.set_request_id("test-1");
    request.set_image(picture());
    request.set_seed(7);
    return request;
  }

  struct Answer {
    Status status;
    std::vector<v1::GenerateEvent> events;
    std::string file;
  };

  // Reads the whole stream; `on_event` may return false to cancel.
  Answer call(const v1::GenerateRequest& request, const std::function<bool(const v1::GenerateEvent&)>& on_event = {}) {
    grpc::ClientContext context;
    set_deadline(context, std::chrono::seconds(60));
    const auto reader = stub_->Generate(&context, request);
    Answer answer;
    v1::GenerateEvent event;
    while (reader->Read(&event)) {
      if (event.has_chunk()) answer.file += event.chunk().data();
      answer.events.push_back(event);
      if (on_event && !on_event(event)) context.TryCancel();
    }
    answer.status = from_grpc(reader->Finish());
    return answer;
  }

  std::atomic<bool> fetching_ = false;
  std::unique_ptr<v1::InferenceService::Stub> stub_;
};

TEST_F(InferenceServiceTest, StreamsStartProgressFileAndEnd) {
  const Answer answer = call(request());
  ASSERT_TRUE(answer.status.ok()) << answer.status;
  ASSERT_TRUE(answer.events.front().has_started());
  EXPECT_EQ(answer.events.front().started().request_id(), "test-1");
  EXPECT_EQ(answer.events.front().started().seed(), 7u);
  EXPECT_EQ(answer.events.front().started().base(), "tiny");
  ASSERT_TRUE(answer.events.back().has_finished());
  EXPECT_EQ(answer.events.back().finished().structure_resolution(), 8);
  EXPECT_GT(answer.events.back().finished().active_voxels(), 0);
  EXPECT_EQ(answer.events.back().finished().seconds_size(), 3);
  bool named = false;
  for (const auto& event : answer.events) {
    if (!event.has_file()) continue;
    named = true;
    EXPECT_EQ(event.file().name(), "model.glb");
    EXPECT_EQ(event.file().size_bytes(), static_cast<int64_t>(answer.file.size()));
    EXPECT_EQ(event.file().sha256(), sha256_hex(answer.file));
  }
  EXPECT_TRUE(named);
  EXPECT_EQ(answer.file.substr(0, 4), "glTF");
}

TEST_F(InferenceServiceTest, StreamsTheFilesOfEverySample) {
  ASSERT_TRUE(write_tiny_shape_base(file("shape_base")));
  const auto engine = open({.base = file("shape_base")});
  serve(engine.get());
  v1::GenerateRequest asked = request();
  asked.set_pipeline_type(v1::PIPELINE_TYPE_1024_CASCADE);
  asked.set_samples(2);
  for (const auto format : {v1::OUTPUT_FORMAT_STL, v1::OUTPUT_FORMAT_VXZ, v1::OUTPUT_FORMAT_OCCUPANCY}) {
    asked.add_formats(format);
  }
  const Answer answer = call(asked);
  ASSERT_TRUE(answer.status.ok()) << answer.status;
  std::vector<std::string> names;
  int64_t bytes = 0;
  for (const auto& event : answer.events) {
    if (!event.has_file()) continue;
    names.push_back(event.file().name());
    EXPECT_EQ(event.file().sample(), names.size() > 3);
    EXPECT_EQ(event.file().format(), asked.formats((static_cast<int>(names.size()) - 1) % 3));
    bytes += event.file().size_bytes();
  }
  EXPECT_THAT(names, ElementsAre("model_0.stl", "model_0.vxz", "occupancy_0.npz", "model_1.stl", "model_1.vxz",
                                 "occupancy_1.npz"));
  EXPECT_EQ(bytes, static_cast<int64_t>(answer.file.size()));
  const auto& finished = answer.events.back().finished();
  EXPECT_EQ(finished.representation(), v1::REPRESENTATION_DUAL_GRID);
  EXPECT_EQ(finished.pipeline_type(), v1::PIPELINE_TYPE_1024_CASCADE);
  EXPECT_EQ(finished.resolution(), 1024);
  ASSERT_EQ(finished.objects_size(), 2);
  for (const auto& object : finished.objects()) {
    EXPECT_GT(object.shape_tokens(), 0);
    EXPECT_GT(object.shape_voxels(), 0);
    EXPECT_GT(object.triangles(), 0);
  }
  serve(engine_);  // before the engine goes
}

TEST_F(InferenceServiceTest, NamesEveryFaultyFieldOfTheShape) {
  v1::GenerateRequest bad = request();
  bad.set_pipeline_type(static_cast<v1::PipelineType>(99));
  bad.set_samples(0);
  bad.set_max_num_tokens(1);
  bad.mutable_mesh()->set_decimation_target(5);
  bad.mutable_shape()->set_steps(51);
  for (int i = 0; i < 2; ++i) bad.add_formats(v1::OUTPUT_FORMAT_GLB);
  const Answer answer = call(bad);
  EXPECT_EQ(answer.status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(field_faults(answer.status),
              ElementsAre(Field(&FieldFault::field, "pipeline_type"), Field(&FieldFault::field, "shape"),
                          Field(&FieldFault::field, "samples"), Field(&FieldFault::field, "max_num_tokens"),
                          Field(&FieldFault::field, "mesh.decimation_target"), Field(&FieldFault::field, "formats[1]"),
                          Field(&FieldFault::field, "shape.steps")));
}

TEST_F(InferenceServiceTest, RefusesFormatsItDoesNotKnow) {
  v1::GenerateRequest bad = request();
  bad.add_formats(v1::OUTPUT_FORMAT_GLB);
  bad.add_formats(v1::OUTPUT_FORMAT_UNSPECIFIED);
  bad.add_formats(static_cast<v1::OutputFormat>(77));
  EXPECT_THAT(field_faults(call(bad).status),
              ElementsAre(Field(&FieldFault::field, "formats[1]"), Field(&FieldFault::field, "formats[2]")));
}

TEST_F(InferenceServiceTest, SaysThatTheBaseHasNoShape) {
  v1::GenerateRequest asked = request();
  asked.set_stop_after(v1::DENOISER_GEOMETRY);
  const Answer answer = call(asked);
  EXPECT_EQ(answer.status.code(), absl::StatusCode::kFailedPrecondition) << answer.status;
  EXPECT_THAT(std::string(answer.status.message()), HasSubstr("stop_after"));
  asked.set_stop_after(v1::DENOISER_SPARSE_STRUCTURE);
  const Answer structure = call(asked);
  ASSERT_TRUE(structure.status.ok()) << structure.status;
  EXPECT_EQ(structure.events.back().finished().representation(), v1::REPRESENTATION_OCCUPANCY);
  EXPECT_EQ(structure.events.back().finished().objects(0).shape_tokens(), 0);
}

TEST_F(InferenceServiceTest, TakesAdaptersInlineAndByArtefact) {
  const Answer plain = call(request());
  v1::GenerateRequest with_bytes = request(), by_id = request();
  with_bytes.add_adapters()->set_inline_file(*read_file(adapter_file()));
  by_id.add_adapters()->set_artefact_id("art_good");
  for (auto* adapted : {&with_bytes, &by_id}) adapted->mutable_adapters(0)->set_scale(2);
  const Answer inline_answer = call(with_bytes), id_answer = call(by_id);
  ASSERT_TRUE(inline_answer.status.ok()) << inline_answer.status;
  EXPECT_NE(inline_answer.file, plain.file);
  EXPECT_EQ(inline_answer.file, id_answer.file);
}

TEST_F(InferenceServiceTest, RefusesWhomTheGateRefuses) {
  stub_ = caller("key_stranger");
  const Answer answer = call(request());
  EXPECT_TRUE(absl::IsPermissionDenied(answer.status)) << answer.status;
  EXPECT_TRUE(answer.events.empty());
}

TEST_F(InferenceServiceTest, NamesEveryFaultyFieldAtOnce) {
  v1::GenerateRequest bad = request();
  bad.set_request_id("not allowed!");
  bad.set_image("GIF89a");
  bad.set_resolution(1536);
  bad.mutable_sparse_structure()->set_steps(99);
  bad.add_adapters();
  bad.add_adapters()->set_inline_file("garbage");
  const Answer answer = call(bad);
  EXPECT_EQ(answer.status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(answer.events.empty()) << "nothing starts";
  EXPECT_THAT(field_faults(answer.status),
              ElementsAre(Field(&FieldFault::field, "request_id"), Field(&FieldFault::field, "adapters[0]"),
                          Field(&FieldFault::field, "resolution"), Field(&FieldFault::field, "sparse_structure.steps"),
                          Field(&FieldFault::field, "adapters[1]"), Field(&FieldFault::field, "image")));
}

TEST_F(InferenceServiceTest, MapsTheOtherRefusals) {
  v1::GenerateRequest unknown = request(), texture = request(), opaque = request(), crowd = request();
  unknown.add_adapters()->set_artefact_id("art_missing");
  texture.set_stop_after(v1::DENOISER_TEXTURE);
  opaque.set_image(opaque_picture());
  for (int i = 0; i < 9; ++i) crowd.add_adapters()->set_inline_file("x");
  const struct {
    const v1::GenerateRequest& request;
    absl::StatusCode code;
    const char* message;
  } rows[] = {{unknown, absl::StatusCode::kNotFound, "adapters[0].artefact_id"},
              {texture, absl::StatusCode::kFailedPrecondition, "stop_after"},
              {opaque, absl::StatusCode::kFailedPrecondition, "image"},
              {crowd, absl::StatusCode::kInvalidArgument, "at most 8"}};
  for (const auto& row : rows) {
    const Answer answer = call(row.request);
    EXPECT_EQ(answer.status.code(), row.code) << answer.status;
    EXPECT_THAT(std::string(answer.status.message()), HasSubstr(row.message));
  }
}

TEST_F(InferenceServiceTest, KeysOutTheBackgroundWhenAsked) {
  v1::GenerateRequest opaque = request();
  opaque.set_image(opaque_picture());
  opaque.set_background_removal(v1::BACKGROUND_REMOVAL_KEYER);
  EXPECT_TRUE(call(opaque).status.ok());
}

TEST_F(InferenceServiceTest, StopsWhenTheCallerCancels) {
  v1::GenerateRequest slow = request();
  slow.add_adapters()->set_artefact_id("art_slow");
  grpc::ClientContext context;
  const auto reader = stub_->Generate(&context, slow);
  while (!fetching_) std::this_thread::yield();
  context.TryCancel();
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  while (fetching_) std::this_thread::yield();  // the server has noticed
  EXPECT_TRUE(call(request()).status.ok()) << "the engine is free again";
}

TEST_F(InferenceServiceTest, StopsWhenTheDeadlinePasses) {
  v1::GenerateRequest slow = request();
  slow.add_adapters()->set_artefact_id("art_slow");
  grpc::ClientContext context;
  set_deadline(context, std::chrono::milliseconds(200));
  const auto reader = stub_->Generate(&context, slow);
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  while (fetching_) std::this_thread::yield();
}

TEST_F(InferenceServiceTest, FinishesRunningRequestsOnShutdown) {
  Answer answer;
  std::atomic<bool> started = false;
  std::jthread caller([&] {
    answer = call(request(), [&](const v1::GenerateEvent&) { return started = true; });
    started = true;
  });
  while (!started) std::this_thread::yield();
  server_->shutdown(std::chrono::seconds(30));
  caller.join();
  EXPECT_TRUE(answer.status.ok()) << answer.status;
  EXPECT_FALSE(answer.file.empty());
}

}  // namespace
}  // namespace espalier::infer
