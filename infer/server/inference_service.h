#pragma once

#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>

#include "common/status.h"
#include "espalier/v1/inference.grpc.pb.h"
#include "infer/engine.h"

namespace espalier::infer {

// Puts the adapter artefact of this id into the given file. NOT_FOUND: there is none.
using FetchAdapter =
    std::function<Status(const std::string& artefact_id, const std::filesystem::path& file, std::stop_token stop)>;

struct InferenceServiceOptions {
  FetchAdapter fetch_adapter;     // absent: adapters must come inline
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
  Status run(const v1::GenerateRequest& request, grpc::ServerWriter<v1::GenerateEvent>& writer, std::stop_source& stop);

  Engine& engine_;
  InferenceServiceOptions options_;
};

}  // namespace espalier::infer
