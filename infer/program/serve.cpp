#include "infer/program/serve.h"

#include <chrono>

#include "common/log.h"
#include "common/service_notify.h"
#include "common/stop_signals.h"
#include "infer/program/admission.h"
#include "infer/program/mesh_import.h"
#include "infer/server/inference_service.h"
#include "rpc/server.h"

namespace espalier::infer {

void describe(ServeOptions& options, ConfigTable& table) {
  table.text("listen", &options.listen, "HOST:PORT of the gRPC service; port 0 takes a free one.");
  table.flag("allow_plaintext_remote", &options.allow_plaintext_remote,
             "Serve other machines without encryption; only inside a trusted network.");
  table.path("base", &options.engine.base, "Folder of the base model.");
  table.text("device", &options.engine.device, "cpu, or cuda or cuda:N where this build and machine have it.");
  table.flag("bfloat16", &options.engine.bfloat16, "Run the denoisers in bfloat16 instead of float32.");
  table.choice("memory", &options.engine.memory, {"auto", "resident", "low"},
               "Networks: resident keeps all in memory, low loads each when it is used and lets it go, auto decides by "
               "their size.");
  table.integer("max_shape_tokens", &options.engine.max_shape_tokens, 16, 1 << 20,
                "Latent cells of a request, over all its samples; one that comes out larger fails.");
  table.path("matting", &options.engine.matting_model,
             "TorchScript file that finds the foreground of opaque images; empty for none.");
  table.integer("max_waiting", &options.engine.max_waiting, 0, 1000, "Requests that may wait for the running one.");
  table.text(
      "coordinator", &options.coordinator,
      "HOST:PORT of the coordinator: it says whose keys may generate, and keeps the adapters that requests name. "
      "Empty: everybody who can reach this service may, with inline adapters.");
  table.text("coordinator_ca_file", &options.coordinator_tls.ca_file,
             "Authority of the coordinator's certificate (PEM), or system; empty: no TLS.");
  table.path("states.folder", &options.states.folder,
             "Keeps states of generated objects, of which other files can be made later; of this service alone. Empty: "
             "none are kept.");
  table.duration("states.time_to_live", &options.states.time_to_live, std::chrono::minutes(1),
                 std::chrono::hours(24 * 365), "Then a state is removed.");
  table.bytes("states.max_bytes", &options.max_state_bytes, Bytes{1 << 20}, Bytes{uint64_t{1} << 50},
              "All states together; above it no more are kept.");
  table.bytes("states.max_tenant_bytes", &options.max_tenant_state_bytes, Bytes{1 << 20}, Bytes{uint64_t{1} << 50},
              "One tenant's states together; above it the oldest go.");
  table.path("importer", &options.importer,
             "Program that reads meshes in a confined process; empty: espalier-preprocess beside this one.");
  table.text("tls.certificate_file", &options.tls.certificate_file, "Certificate chain (PEM); empty: no TLS.");
  table.text("tls.private_key_file", &options.tls.private_key_file, "Its private key (PEM).");
  table.duration("shutdown_grace", &options.shutdown_grace, std::chrono::milliseconds(0), std::chrono::minutes(10),
                 "Time that running requests have to end at shutdown.");
  table.choice("log.level", &options.log_level, {"debug", "info", "warning", "error"},
               "Least severity that is logged.");
  table.choice("log.format", &options.log_format, {"text", "json"}, "One line per event on stderr.");
}

namespace {

// Null where no states are kept.
Result<std::unique_ptr<StateStore>> open_states(const ServeOptions& options) {
  if (options.states.folder.empty()) return std::unique_ptr<StateStore>();
  StateStoreOptions own = options.states;
  own.max_bytes = static_cast<int64_t>(options.max_state_bytes.count);
  own.max_tenant_bytes = static_cast<int64_t>(options.max_tenant_state_bytes.count);
  return StateStore::open(std::move(own));
}

}  // namespace

Status serve(const ServeOptions& options) {
  const StopSignals signals;
  ESP_ASSIGN(const auto engine, Engine::open(options.engine));
  InferenceServiceOptions service_options;
  service_options.import_mesh = confined_import(options.importer);
  ESP_ASSIGN(const auto states, open_states(options));
  service_options.states = states.get();
  if (!options.coordinator.empty()) {
    service_options.admit = admit_by(options.coordinator, options.coordinator_tls, options.allow_plaintext_remote);
  }
  InferenceService service(engine.get(), std::move(service_options));
  ServerOptions server_options;
  server_options.listen = options.listen;
  server_options.tls = options.tls;
  server_options.allow_plaintext_remote = options.allow_plaintext_remote;
  server_options.max_receive_bytes = kMaxRequestBytes;
  ESP_ASSIGN(const auto server, RpcServer::start(server_options, {&service}));
  log_info("serving", {{"address", server->address()}, {"base", engine->base_name()}});
  notify_service("READY=1");
  signals.wait();
  notify_service("STOPPING=1");
  log_info("stopping");
  server->shutdown(options.shutdown_grace);
  return absl::OkStatus();
}

}  // namespace espalier::infer
