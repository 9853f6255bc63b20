#pragma once

#include <atomic>
#include <functional>
#include <stop_token>

#include "espalier/v1/artefacts.grpc.pb.h"
#include "espalier/v1/worker.pb.h"
#include "worker/config.h"
#include "worker/workspace.h"

namespace espalier::worker {

// Hands a report to the coordinator, some time, exactly once. Thread-safe.
using Report = std::function<void(v1::WorkerMessage)>;

// How a running task is spoken to.
struct TaskControl {
  std::stop_token stop;     // end the child with a checkpoint; task_finished is then `cancelled`
  std::atomic<bool>& over;  // no other attempt will come: what it left for one may go
  int slot = 0;             // 0..slots-1: which of the worker's devices it has
};

// What all tasks of a worker share; outlives them.
struct TaskResources {
  const WorkerConfig& config;
  v1::ArtefactService::StubInterface& artefacts;
  Workspace& workspace;
};

// Runs one leased task on the calling thread: fetches its inputs, runs the task program, relays what it says, stores
// what it makes, and reports task_finished as the last thing. Never throws; every failure becomes a report.
void run_task(const TaskResources& resources, const v1::AssignTask& task, const Report& report,
              const TaskControl& control);

}  // namespace espalier::worker
