#include "infer/server/inference_service.h"

#include <chrono>
#include <optional>
#include <thread>

#include "common/files.h"
#include "common/log.h"
#include "common/stoppable_wait.h"
#include "infer/server/event_stream.h"
#include "infer/server/request_reader.h"
#include "rpc/credentials.h"
#include "rpc/metadata.h"
#include "rpc/status.h"

namespace espalier::infer {
namespace {

constexpr std::chrono::milliseconds kCancelPoll{50};
constexpr const char* kNoStates = "this server keeps no states";

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

Status refusal(const std::vector<Fault>& faults) {
  std::vector<FieldFault> fields;
  for (const Fault& fault : faults) fields.push_back({fault.field, fault.message});
  return invalid_fields(fields);
}

// Sends a result, or says what is wrong with the request.
Status answer(const Result<GeneratedAssets>& assets, const std::vector<Fault>& faults, EventWriter& writer) {
  if (!faults.empty()) return refusal(faults);
  ESP_TRY(assets.status());
  ESP_TRY(send_files(writer, *assets));
  return send_finished(writer, *assets);
}

void describe(const StateStore::Kept& kept, v1::GeneratedObject& object) {
  object.set_state(kept.handle);
  const auto expires = std::chrono::duration_cast<std::chrono::seconds>(kept.expires.time_since_epoch());
  object.mutable_state_expire_time()->set_seconds(expires.count());
}

CallerEntries caller_of(const grpc::ServerContext& context) {
  return {metadata_entry(context, kAuthorizationEntry), metadata_entry(context, kTenantEntry)};
}

}  // namespace

Result<Caller> InferenceService::admit(const grpc::ServerContext& context) const {
  if (!options_.admit) return Caller{};
  return options_.admit(caller_of(context));
}

Status InferenceService::keep_states(const Caller& caller, GeneratedAssets& assets,
                                     std::vector<StateStore::Kept>& kept) const {
  for (const GeneratedSample& sample : assets.samples) {
    auto state = options_.states->keep(caller.tenant, sample.state);
    if (!absl::IsResourceExhausted(state.status())) ESP_TRY(state.status());
    if (!state.ok()) assets.warnings.push_back("not kept: " + std::string(state.status().message()));
    kept.push_back(state.value_or(StateStore::Kept{}));
  }
  return absl::OkStatus();
}

Status InferenceService::generate(const Caller& caller, const v1::GenerateRequest& request, EventWriter& writer,
                                  std::stop_source& stop) {
  ESP_ASSIGN(const TempDir folder, TempDir::create("espalier-infer", options_.scratch));
  std::vector<Fault> faults;
  ESP_ASSIGN(GenerateRequest checked, read_request(request, folder.path(), caller.fetch, stop.get_token(), faults));
  std::optional<TempDir> staged;
  if (request.keep_state() && options_.states == nullptr) faults.push_back({"keep_state", kNoStates});
  if (request.keep_state() && options_.states != nullptr) {
    ESP_ASSIGN(staged, options_.states->stage());
    checked.state_folder = staged->path();
  }
  const GenerateHooks hooks = event_hooks(request.request_id(), engine_.base_name(), writer, stop);
  auto assets = engine_.generate(checked, hooks, &faults);
  if (!faults.empty()) return refusal(faults);
  ESP_TRY(assets.status());
  ESP_TRY(send_files(writer, *assets));
  std::vector<StateStore::Kept> kept;
  if (staged) ESP_TRY(keep_states(caller, *assets, kept));
  return send_finished(writer, *assets, [&](v1::GenerateFinished& finished) {
    for (size_t i = 0; i < kept.size(); ++i) {
      if (!kept[i].handle.empty()) describe(kept[i], *finished.mutable_objects(static_cast<int>(i)));
    }
  });
}

Status InferenceService::extract(const Caller& caller, const v1::ExtractGlbRequest& request, EventWriter& writer,
                                 std::stop_source& stop) {
  if (options_.states == nullptr) return absl::FailedPreconditionError(kNoStates);
  ESP_ASSIGN(const std::filesystem::path state, options_.states->find(caller.tenant, request.state()));
  std::vector<Fault> faults;
  const OutputOptions checked = read_extraction(request, faults);
  const GenerateHooks hooks = event_hooks(request.request_id(), engine_.base_name(), writer, stop);
  return answer(engine_.extract(state, checked, hooks, &faults), faults, writer);
}

Result<mesh::Scene> InferenceService::import_in_turn(const std::filesystem::path& folder, const std::string& file,
                                                     std::stop_token stop) {
  const auto turn = imports_.wait(stop);
  // Not a fault of the mesh, whose limits have that code, too.
  if (absl::IsResourceExhausted(turn.status())) return absl::UnavailableError(turn.status().message());
  ESP_TRY(turn.status());
  return options_.import_mesh(folder, file, std::move(stop));
}

Status InferenceService::retexture(const Caller& caller, const v1::RetextureRequest& request, EventWriter& writer,
                                   std::stop_source& stop) {
  if (!options_.import_mesh) return absl::FailedPreconditionError("this server has no importer for meshes");
  ESP_ASSIGN(const TempDir folder, TempDir::create("espalier-infer", options_.scratch));
  std::vector<Fault> faults;
  const ImportMesh import_mesh = [this](const auto& from, const std::string& file, std::stop_token token) {
    return import_in_turn(from, file, std::move(token));
  };
  ESP_ASSIGN(const RetextureRequest checked,
             read_retexture(request, folder.path(), caller.fetch, import_mesh, stop.get_token(), faults));
  const GenerateHooks hooks = event_hooks(request.request_id(), engine_.base_name(), writer, stop);
  return answer(engine_.retexture(checked, hooks, &faults), faults, writer);
}

template <class Request>
grpc::Status InferenceService::serve(const char* name, grpc::ServerContext& context, const Request& request,
                                     EventWriter& writer,
                                     Status (InferenceService::*work)(const Caller&, const Request&, EventWriter&,
                                                                      std::stop_source&)) {
  std::stop_source stop;
  const CancelWatcher watcher(&context, &stop);
  const auto start = std::chrono::steady_clock::now();
  const auto caller = admit(context);
  const Status status = caller.ok() ? (this->*work)(*caller, request, writer, stop) : caller.status();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  log_info(name, {{"code", absl::StatusCodeToString(status.code())}, {"seconds", seconds.count()}});
  return to_grpc(status);
}

grpc::Status InferenceService::Generate(grpc::ServerContext* context, const v1::GenerateRequest* request,
                                        EventWriter* writer) {
  return serve("generate", *context, *request, *writer, &InferenceService::generate);
}

grpc::Status InferenceService::ExtractGlb(grpc::ServerContext* context, const v1::ExtractGlbRequest* request,
                                          EventWriter* writer) {
  return serve("extract_glb", *context, *request, *writer, &InferenceService::extract);
}

grpc::Status InferenceService::Retexture(grpc::ServerContext* context, const v1::RetextureRequest* request,
                                         EventWriter* writer) {
  return serve("retexture", *context, *request, *writer, &InferenceService::retexture);
}

}  // namespace espalier::infer
