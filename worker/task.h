#pragma once

#include <functional>
#include <stop_token>

#include "espalier/v1/artefacts.grpc.pb.h"
#include "espalier/v1/worker.pb.h"
#include "worker/config.h"

namespace espalier::worker {

// Hands a report to the coordinator, some time, exactly once. Thread-safe.
using Report = std::function<void(v1::WorkerMessage)>;

// Runs one leased task on the calling thread: fetches its inputs, runs the task program, relays what it says, stores
// what it makes, and reports task_finished as the last thing. Never throws; every failure becomes a report.
// `stop` ends the child with a checkpoint; task_finished is then `cancelled`.
void run_task(const WorkerConfig& config, const v1::AssignTask& task, v1::ArtefactService::StubInterface& artefacts,
              const Report& report, std::stop_token stop);

}  // namespace espalier::worker
