#pragma once

#include <memory>
#include <string>

#include "infer/server/inference_service.h"
#include "rpc/server.h"
#include "tests/infer_support/engine_fixture.h"

namespace espalier::infer {

// An engine on a tiny base, and a service in front of it on a free port of this machine.
class ServiceFixture : public EngineFixture {
 protected:
  // Ends the service that runs, if any.
  void start(const InferenceServiceOptions& options, Engine* engine = engine_);
  // Before what the options refer to goes.
  void stop();
  void TearDown() override { stop(); }

  // A caller with the key "<id>:x", or with none.
  std::unique_ptr<v1::InferenceService::Stub> caller(const std::string& key_id = "") const;

  std::unique_ptr<InferenceService> service_;
  std::unique_ptr<RpcServer> server_;
};

}  // namespace espalier::infer
