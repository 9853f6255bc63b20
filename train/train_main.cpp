#include <cstdio>
#include <cstdlib>

#include "common/exit_codes.h"
#include "common/heap.h"
#include "common/log.h"
#include "common/stop_signals.h"
#include "common/wait_policy.h"
#include "nn/threads.h"
#include "train/command_line.h"
#include "train/progress.h"
#include "train/trainer.h"

int main(int argc, char** argv) {
  using namespace espalier;
  let_waiting_threads_sleep(argv);
  keep_freed_memory();
  nn::use_available_cores();
  configure_log("train", LogLevel::kInfo, LogFormat::kText);
  const StopSignals signals;
  train::CommandLine line;
  Status status = train::parse_command_line(argc, argv, line);
  if (!line.help.empty()) {
    std::fputs(line.help.c_str(), stdout);
    return 0;
  }
  train::ProgressOutput output(line.progress_fd, stderr);
  if (status.ok()) {
    status = train::train(line.config, signals.token(), [&](const auto& event) { output.write(event); }).status();
  }
  if (!status.ok()) output.write_error(status);
  const int code = exit_code(status);
  // Threads of a group that lost a rank may wait for it for ever: the process does not wait for them.
  if (line.config.group.world_size > 1) std::fflush(nullptr), std::_Exit(code);
  return code;
}
