#pragma once

#include <chrono>
#include <string>

#include "common/config.h"
#include "common/installation.h"
#include "common/status.h"
#include "infer/engine.h"
#include "infer/server/state_store.h"
#include "rpc/tls.h"

namespace espalier::infer {

// Settings of `espalier-infer serve`; configs/infer.yaml documents each.
struct ServeOptions {
  EngineOptions engine{.base = kDefaultBase};
  std::string listen = "127.0.0.1:7431";
  bool allow_plaintext_remote = false;
  ServerTls tls;
  std::string coordinator;  // HOST:PORT; empty: everybody may generate, with inline adapters
  ClientTls coordinator_tls;
  StateStoreOptions states;  // no folder: states are not kept
  Bytes max_state_bytes{uint64_t{8} << 30}, max_tenant_state_bytes{uint64_t{1} << 30};
  std::filesystem::path importer;  // see confined_import()
  std::chrono::milliseconds shutdown_grace = std::chrono::seconds(30);
  std::string log_level = "info";
  std::string log_format = "text";
};

// Rows of all settings, bound to `options`.
void describe(ServeOptions& options, ConfigTable& table);

// Loads the base, serves until SIGINT or SIGTERM, then lets running requests end for a while. Call it before any other
// thread is started.
Status serve(const ServeOptions& options);

}  // namespace espalier::infer
