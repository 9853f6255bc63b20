#pragma once

#include <string>

#include "common/status.h"
#include "infer/engine.h"

namespace espalier::infer {

struct ServeOptions {
  EngineOptions engine;
  std::string listen = "127.0.0.1:50061";
  bool allow_plaintext_remote = false;
  std::string coordinator;  // HOST:PORT where adapters named by artefact id are fetched; empty: inline only
};

// Loads the base, serves until SIGINT or SIGTERM, then lets running requests end for a while. Call it before any other
// thread is started.
Status serve(const ServeOptions& options);

}  // namespace espalier::infer
