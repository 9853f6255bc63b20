#include <cstdio>

#include "common/heap.h"
#include "common/log.h"
#include "common/stop_signals.h"
#include "train/command_line.h"
#include "train/progress.h"
#include "train/trainer.h"

int main(int argc, char** argv) {
  using namespace espalier;
  keep_freed_memory();
  configure_log("train", LogLevel::kInfo, LogFormat::kText);
  const StopSignals signals;
  train::CommandLine line;
  Status status = train::parse_command_line(argc, argv, line);
  if (!line.help.empty()) {
    std::fputs(line.help.c_str(), stdout);
    return 0;
  }
  train::ProgressOutput output(line.progress_fd, stderr);
  if (status.ok() && !line.metrics.empty()) status = output.open_metrics(line.metrics);
  if (status.ok()) {
    status = train::train(line.config, signals.token(), [&](const auto& event) { output.write(event); }).status();
  }
  if (!status.ok()) output.write_error(status);
  return train::exit_code(status);
}
