#include "worker/program.h"

#include <iostream>

#include "cli/app.h"
#include "common/exit_codes.h"
#include "common/log.h"
#include "common/secrets.h"
#include "common/service_notify.h"
#include "common/stop_signals.h"
#include "worker/agent.h"

namespace espalier::worker {
namespace {

struct Arguments {
  std::string file;
  std::vector<std::pair<std::string, std::string>> overrides;
  bool print_config = false;
};

void add_override(cli::App& app, Arguments& arguments, const char* flag, const char* key, const char* doc) {
  const auto store = [&arguments, key](const std::string& value) { arguments.overrides.emplace_back(key, value); };
  app.text(flag, store, doc);
}

void add_options(cli::App& app, Arguments& arguments) {
  app.option("--config", arguments.file, "YAML file; configs/worker.yaml documents the settings");
  app.flag("--print-config", arguments.print_config, "Print the settings in force and end");
  add_override(app, arguments, "--coordinator", "coordinator", "HOST:PORT of the coordinator");
  add_override(app, arguments, "--key-file", "key_file", "File with a key of the role worker");
  add_override(app, arguments, "--data-dir", "data_dir", "Folder for identity, cached inputs and running tasks");
  add_override(app, arguments, "--base", "base", "Folder of the base model");
  add_override(app, arguments, "--programs", "programs", "Folder of the task programs (default: this program's)");
  add_override(app, arguments, "--slots", "slots", "Tasks at a time");
  add_override(app, arguments, "--threads-per-task", "threads_per_task", "CPU threads of a task");
}

int fail(const Status& status) {
  std::cerr << "espalier-worker: " << status.message() << std::endl;
  return exit_code(status);
}

}  // namespace

int run_program(int argc, char** argv) {
  const StopSignals signals;  // before any thread
  forbid_core_files();
  cli::App app("espalier-worker", "Runs the tasks of an Espalier coordinator on this machine.");
  Arguments arguments;
  add_options(app, arguments);
  if (const auto done = app.parse(argc, argv)) return *done;

  WorkerConfig config;
  ConfigTable table;
  describe(config, table);
  const Status loaded = table.load({arguments.file, "ESPALIER_WORKER", arguments.overrides});
  if (!loaded.ok()) return fail(loaded);
  if (arguments.print_config) return std::cout << table.print(), 0;
  configure_log("worker", config.log_level, config.log_format);

  const auto agent = Agent::create(config);
  if (!agent.ok()) return fail(agent.status());
  notify_service("READY=1");  // also without a coordinator, which it waits for
  const std::stop_callback on_stop(signals.token(), [] { notify_service("STOPPING=1"); });
  const Status status = (*agent)->run(signals.token());
  return status.ok() ? kExitOk : fail(status);
}

}  // namespace espalier::worker
