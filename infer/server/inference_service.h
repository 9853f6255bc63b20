#pragma once

#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>

#include "common/status.h"
#include "espalier/v1/inference.grpc.pb.h"
#include "infer/engine.h"

namespace espalier::infer {

// The metadata entries that a call names its caller with (rpc/credentials.h), as they came; empty: absent.
struct CallerEntries {
  std::string authorization;
  std::string tenant;
};

// Puts the adapter artefact of this id into the given file. NOT_FOUND: the caller has none.
using FetchAdapter =
    std::function<Status(const std::string& artefact_id, const std::filesystem::path& file, std::stop_token stop)>;

// Lets a caller generate and gives the way to the adapters that the caller may use.
// UNAUTHENTICATED, PERMISSION_DENIED; UNAVAILABLE: nobody could be asked.
using Admit = std::function<Result<FetchAdapter>(const CallerEntries& caller)>;

struct InferenceServiceOptions {
  Admit admit;                    // absent: everybody who can reach the service, adapters inline only
  std::filesystem::path scratch;  // for adapters of running requests; empty: the system's temporary folder
};

// Messages a server of this service must be able to receive: an image, adapters and some room.
inline constexpr int kMaxRequestBytes = 72 << 20;

// InferenceService of espalier/v1/inference.proto on one engine. Requests are checked as a whole before any work, then
// queue up; a call that is cancelled or runs out of time stops before the next network evaluation. Thread-safe.
class InferenceService final : public v1::InferenceService::Service {
 public:
  // The engine must outlive the service.
  InferenceService(Engine* engine, InferenceServiceOptions options) : engine_(*engine), options_(std::move(options)) {}

  grpc::Status Generate(grpc::ServerContext* context, const v1::GenerateRequest* request,
                        grpc::ServerWriter<v1::GenerateEvent>* writer) override;

 private:
  Status run(const CallerEntries& caller, const v1::GenerateRequest& request,
             grpc::ServerWriter<v1::GenerateEvent>& writer, std::stop_source& stop);

  Engine& engine_;
  InferenceServiceOptions options_;
};

}  // namespace espalier::infer
