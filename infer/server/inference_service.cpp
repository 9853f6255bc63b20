#include "infer/server/inference_service.h"

#include <chrono>
#include <thread>

#include "common/files.h"
#include "common/log.h"
#include "common/sha256.h"
#include "common/stoppable_wait.h"
#include "infer/server/message_values.h"
#include "infer/server/request_reader.h"
#include "rpc/credentials.h"
#include "rpc/metadata.h"
#include "rpc/status.h"

namespace espalier::infer {
namespace {

using Writer = grpc::ServerWriter<v1::GenerateEvent>;

constexpr std::chrono::milliseconds kCancelPoll{50};
constexpr size_t kChunkBytes = 256 << 10;

// Requests a stop once the caller has gone away or run out of time. gRPC's synchronous API has no callback for that.
class CancelWatcher {
 public:
  CancelWatcher(grpc::ServerContext* context, std::stop_source* stop)
      : thread_([context, stop](std::stop_token ended) {
          while (wait_unless_stopped(kCancelPoll, ended)) {
            if (context->IsCancelled()) stop->request_stop();
          }
        }) {}

 private:
  std::jthread thread_;
};

Status lost_reader() { return absl::CancelledError("the caller has gone away"); }

Status send_file(Writer& writer, const GeneratedFile& generated, int sample, int samples) {
  const FileKind& kind = kind_of(generated.format);
  const std::string& bytes = generated.bytes;
  v1::GenerateEvent event;
  auto& file = *event.mutable_file();
  file.set_name(file_name(kind, sample, samples));
  file.set_content_type(kind.content_type);
  file.set_size_bytes(static_cast<int64_t>(bytes.size()));
  file.set_sha256(sha256_hex(bytes));
  file.set_format(kind.format);
  file.set_sample(sample);
  if (!writer.Write(event)) return lost_reader();
  for (size_t at = 0; at < bytes.size(); at += kChunkBytes) {
    event.mutable_chunk()->set_data(bytes.substr(at, kChunkBytes));
    if (!writer.Write(event)) return lost_reader();
  }
  return absl::OkStatus();
}

Status send_files(Writer& writer, const GeneratedAssets& assets) {
  const int samples = static_cast<int>(assets.samples.size());
  for (int i = 0; i < samples; ++i) {
    for (const GeneratedFile& file : assets.samples[static_cast<size_t>(i)].files) {
      ESP_TRY(send_file(writer, file, i, samples));
    }
  }
  return absl::OkStatus();
}

void describe(const GeneratedSample& sample, v1::GeneratedObject& object) {
  object.set_active_voxels(static_cast<int64_t>(sample.voxels.size()));
  object.set_shape_tokens(sample.shape_tokens);
  object.set_shape_voxels(sample.shape_voxels);
  object.set_vertices(sample.vertices);
  object.set_triangles(sample.triangles);
  object.set_holes_closed(sample.holes_closed);
}

Status send_finished(Writer& writer, const GeneratedAssets& assets) {
  v1::GenerateEvent event;
  auto& finished = *event.mutable_finished();
  for (const auto& [stage, seconds] : assets.seconds) {
    auto& entry = *finished.add_seconds();
    entry.set_stage(stage);
    entry.set_seconds(seconds);
  }
  finished.set_active_voxels(static_cast<int64_t>(assets.samples.front().voxels.size()));
  finished.set_structure_resolution(assets.structure_resolution);
  finished.set_representation(assets.representation == Representation::kDualGrid ? v1::REPRESENTATION_DUAL_GRID
                                                                                 : v1::REPRESENTATION_OCCUPANCY);
  finished.set_pipeline_type(to_message(assets.pipeline));
  finished.set_resolution(assets.resolution);
  for (const GeneratedSample& sample : assets.samples) describe(sample, *finished.add_objects());
  for (const std::string& warning : assets.warnings) finished.add_warnings(warning);
  return writer.Write(event) ? absl::OkStatus() : lost_reader();
}

GenerateHooks make_hooks(const std::string& request_id, const std::string& base, Writer& writer,
                         std::stop_source& stop) {
  GenerateHooks hooks;
  hooks.stop = stop.get_token();
  hooks.started = [&writer, &stop, request_id, base](uint64_t seed) {
    v1::GenerateEvent event;
    event.mutable_started()->set_request_id(request_id);
    event.mutable_started()->set_seed(seed);
    event.mutable_started()->set_base(base);
    if (!writer.Write(event)) stop.request_stop();
  };
  hooks.progress = [&writer, &stop](std::string_view stage, int done, int total) {
    v1::GenerateEvent event;
    event.mutable_progress()->set_stage(std::string(stage));
    event.mutable_progress()->set_done(done);
    event.mutable_progress()->set_total(total);
    if (!writer.Write(event)) stop.request_stop();
  };
  return hooks;
}

Status refusal(const std::vector<Fault>& faults) {
  std::vector<FieldFault> fields;
  for (const Fault& fault : faults) fields.push_back({fault.field, fault.message});
  return invalid_fields(fields);
}

CallerEntries caller_of(const grpc::ServerContext& context) {
  return {metadata_entry(context, kAuthorizationEntry), metadata_entry(context, kTenantEntry)};
}

}  // namespace

Status InferenceService::run(const CallerEntries& caller, const v1::GenerateRequest& request, Writer& writer,
                             std::stop_source& stop) {
  FetchAdapter fetch;
  if (options_.admit) {
    ESP_ASSIGN(fetch, options_.admit(caller));
  }
  ESP_ASSIGN(const TempDir folder, TempDir::create("espalier-infer", options_.scratch));
  std::vector<Fault> faults;
  ESP_ASSIGN(const GenerateRequest checked, read_request(request, folder.path(), fetch, stop.get_token(), faults));
  const GenerateHooks hooks = make_hooks(request.request_id(), engine_.base_name(), writer, stop);
  const auto assets = engine_.generate(checked, hooks, &faults);
  if (!faults.empty()) return refusal(faults);
  ESP_TRY(assets.status());
  ESP_TRY(send_files(writer, *assets));
  return send_finished(writer, *assets);
}

grpc::Status InferenceService::Generate(grpc::ServerContext* context, const v1::GenerateRequest* request,
                                        Writer* writer) {
  std::stop_source stop;
  const CancelWatcher watcher(context, &stop);
  const auto start = std::chrono::steady_clock::now();
  const Status status = run(caller_of(*context), *request, *writer, stop);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  log_info("generate", {{"code", absl::StatusCodeToString(status.code())}, {"seconds", seconds.count()}});
  return to_grpc(status);
}

}  // namespace espalier::infer
