#include <iostream>

#include "cli/app.h"
#include "common/exit_codes.h"
#include "coordinator/command_line.h"

int main(int argc, char** argv) {
  using namespace espalier;
  coordinator::CommandLine line;
  cli::App app("espalier-coordinator", "Jobs, their queue, their artefacts.");
  app.option("--config", line.config_file, "YAML file; see configs/coordinator.yaml");
  app.option("--listen", line.listen, "HOST:PORT of the gRPC services; port 0 takes a free one");
  app.option("--data-dir", line.data_dir, "folder of the database and the artefacts");
  app.option("--set", line.settings, "KEY=VALUE of any setting; may be repeated");
  app.flag("--print-config", line.print_config, "print the settings in effect and stop");
  if (const auto done = app.parse(argc, argv)) return *done;
  const Status status = coordinator::run(line);
  if (!status.ok()) std::cerr << "espalier-coordinator: " << status.message() << "\n";
  return exit_code(status);
}
