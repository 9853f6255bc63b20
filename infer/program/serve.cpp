#include "infer/program/serve.h"

#include <grpcpp/channel.h>

#include <chrono>

#include "common/log.h"
#include "common/stop_signals.h"
#include "infer/server/inference_service.h"
#include "rpc/channel.h"
#include "rpc/server.h"
#include "rpc/transfer.h"

namespace espalier::infer {
namespace {

constexpr std::chrono::seconds kGrace{30};

FetchAdapter fetch_from(const std::string& coordinator) {
  if (coordinator.empty()) return nullptr;
  std::shared_ptr<v1::ArtefactService::Stub> stub = v1::ArtefactService::NewStub(make_channel(coordinator));
  return [stub](const std::string& artefact_id, const std::filesystem::path& file, std::stop_token stop) {
    TransferOptions options;
    options.stop = std::move(stop);
    return download_file(*stub, artefact_id, file, options).status();
  };
}

}  // namespace

Status serve(const ServeOptions& options) {
  const StopSignals signals;
  ESP_ASSIGN(const auto engine, Engine::open(options.engine));
  InferenceService service(engine.get(), {.fetch_adapter = fetch_from(options.coordinator), .scratch = {}});
  ServerOptions server_options;
  server_options.listen = options.listen;
  server_options.allow_plaintext_remote = options.allow_plaintext_remote;
  server_options.max_receive_bytes = kMaxRequestBytes;
  ESP_ASSIGN(const auto server, RpcServer::start(server_options, {&service}));
  log_info("serving", {{"address", server->address()}, {"base", engine->base_name()}});
  signals.wait();
  log_info("stopping");
  server->shutdown(kGrace);
  return absl::OkStatus();
}

}  // namespace espalier::infer
