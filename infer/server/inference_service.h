#pragma once

#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "common/status.h"
#include "espalier/v1/inference.grpc.pb.h"
#include "infer/engine.h"
#include "infer/server/event_stream.h"
#include "infer/server/state_store.h"
#include "infer/turn_queue.h"

namespace espalier::infer {

// The metadata entries that a call names its caller with (rpc/credentials.h), as they came; empty: absent.
struct CallerEntries {
  std::string authorization;
  std::string tenant;
};

// Puts the adapter artefact of this id into the given file. NOT_FOUND: the caller has none.
using FetchAdapter =
    std::function<Status(const std::string& artefact_id, const std::filesystem::path& file, std::stop_token stop)>;

// Who calls.
struct Caller {
  std::string tenant;  // that owns what the call leaves behind
  FetchAdapter fetch;  // the way to the adapters that the caller may use; absent: inline only
};

// Lets a caller in. UNAUTHENTICATED, PERMISSION_DENIED; UNAVAILABLE: nobody could be asked.
using Admit = std::function<Result<Caller>(const CallerEntries& caller)>;

// Reads a stranger's mesh from `folder`. Errors start with a code and a colon, as mesh::import_scene's; those that are
// not the file's fault are UNAVAILABLE or CANCELLED.
using ImportMesh =
    std::function<Result<mesh::Scene>(const std::filesystem::path& folder, const std::string& file, std::stop_token)>;

struct InferenceServiceOptions {
  Admit admit;                    // absent: everybody who can reach the service, all as one tenant
  std::filesystem::path scratch;  // for files of running requests; empty: the system's temporary folder
  StateStore* states = nullptr;   // must outlive the service; null: no states are kept
  ImportMesh import_mesh;         // absent: meshes are not retextured
};

// Messages a server of this service must be able to receive: an image, adapters or a mesh, and some room.
inline constexpr int kMaxRequestBytes = 72 << 20;

// InferenceService of espalier/v1/inference.proto on one engine. Requests are checked as a whole before any work, then
// queue up; a call that is cancelled or runs out of time stops before the next network evaluation. Thread-safe.
class InferenceService final : public v1::InferenceService::Service {
 public:
  // The engine must outlive the service.
  InferenceService(Engine* engine, InferenceServiceOptions options) : engine_(*engine), options_(std::move(options)) {}

  grpc::Status Generate(grpc::ServerContext* context, const v1::GenerateRequest* request, EventWriter* writer) override;
  grpc::Status ExtractGlb(grpc::ServerContext* context, const v1::ExtractGlbRequest* request,
                          EventWriter* writer) override;
  grpc::Status Retexture(grpc::ServerContext* context, const v1::RetextureRequest* request,
                         EventWriter* writer) override;

 private:
  static constexpr int kMaxWaitingImports = 16;

  template <class Request>
  grpc::Status serve(const char* name, grpc::ServerContext& context, const Request& request, EventWriter& writer,
                     Status (InferenceService::*work)(const Caller&, const Request&, EventWriter&, std::stop_source&));
  Result<Caller> admit(const grpc::ServerContext& context) const;
  Status generate(const Caller& caller, const v1::GenerateRequest& request, EventWriter& writer,
                  std::stop_source& stop);
  Status extract(const Caller& caller, const v1::ExtractGlbRequest& request, EventWriter& writer,
                 std::stop_source& stop);
  Status retexture(const Caller& caller, const v1::RetextureRequest& request, EventWriter& writer,
                   std::stop_source& stop);
  Result<mesh::Scene> import_in_turn(const std::filesystem::path& folder, const std::string& file,
                                     std::stop_token stop);
  // A state that finds no room is a warning: the files are there.
  Status keep_states(const Caller& caller, GeneratedAssets& assets, std::vector<StateStore::Kept>& kept) const;

  Engine& engine_;
  InferenceServiceOptions options_;
  TurnQueue imports_{kMaxWaitingImports};  // one at a time: each may take much memory
};

}  // namespace espalier::infer
