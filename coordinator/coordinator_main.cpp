#include <CLI/CLI.hpp>
#include <iostream>

#include "coordinator/command_line.h"

int main(int argc, char** argv) {
  using namespace espalier;
  coordinator::CommandLine line;
  CLI::App app("Espalier coordinator: jobs, their queue, their artefacts.");
  app.add_option("--config", line.config_file, "YAML file; see configs/coordinator.yaml");
  app.add_option("--listen", line.listen, "HOST:PORT of the gRPC services; port 0 takes a free one");
  app.add_option("--data-dir", line.data_dir, "folder of the database and the artefacts");
  app.add_option("--set", line.settings, "KEY=VALUE of any setting; may be repeated");
  app.add_flag("--print-config", line.print_config, "print the settings in effect and stop");
  CLI11_PARSE(app, argc, argv);
  const Status status = coordinator::run(line);
  if (!status.ok()) std::cerr << "espalier-coordinator: " << status.message() << "\n";
  return status.ok() ? 0 : absl::IsInvalidArgument(status) ? 2 : 1;
}
