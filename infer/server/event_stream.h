#pragma once

#include <grpcpp/support/sync_stream.h>

#include <functional>
#include <stop_token>
#include <string>

#include "common/status.h"
#include "espalier/v1/inference.pb.h"
#include "infer/engine.h"

// The events that a call of the service answers with.
namespace espalier::infer {

using EventWriter = grpc::ServerWriter<v1::GenerateEvent>;

// `started` and `progress`; a caller who has gone away stops the work. `writer` and `stop` must outlive the result.
GenerateHooks event_hooks(const std::string& request_id, const std::string& base, EventWriter& writer,
                          std::stop_source& stop);

// CANCELLED: the caller has gone away.
Status send_files(EventWriter& writer, const GeneratedAssets& assets);

// `finished`, after `complete` has added to it.
Status send_finished(EventWriter& writer, const GeneratedAssets& assets,
                     const std::function<void(v1::GenerateFinished&)>& complete = {});

}  // namespace espalier::infer
