#pragma once

#include <memory>
#include <stop_token>

#include "common/status.h"
#include "worker/config.h"

namespace espalier::worker {

// Attaches to the coordinator and runs what it assigns, until stopped. See the comments of WorkerService for the
// protocol. Losing the coordinator does not stop running tasks: the agent reconnects and names them.
class Agent {
 public:
  // INVALID_ARGUMENT: the config, all faults at once.
  static Result<std::unique_ptr<Agent>> create(WorkerConfig config);
  ~Agent();

  // When `stop` is set: assigns nothing more, stops the children (they write checkpoints), hands their tasks back and
  // returns OK. An error has kExitRefused: the coordinator refuses this worker for good (another base, its key, another
  // process attached under the same identity).
  Status run(std::stop_token stop);

 private:
  class Session;
  struct Impl;
  explicit Agent(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace espalier::worker
