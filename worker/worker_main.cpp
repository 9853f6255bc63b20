// espalier-worker: attaches to a coordinator and runs its tasks as child processes on this machine.
#include <CLI/CLI.hpp>
#include <iostream>
#include <thread>

#include "common/log.h"
#include "rpc/server.h"
#include "worker/agent.h"

int main(int argc, char** argv) {
  espalier::StopSignal signal;  // before any thread
  espalier::worker::WorkerConfig config;
  CLI::App app("Runs the tasks of an Espalier coordinator on this machine.");
  app.add_option("--coordinator", config.coordinator, "HOST:PORT of the coordinator")->capture_default_str();
  app.add_option("--data-dir", config.data_dir, "Folder for identity, cached inputs and running tasks")->required();
  app.add_option("--base", config.base, "Folder of the base model")->required();
  app.add_option("--programs", config.programs, "Folder of the task programs (default: this program's)");
  app.add_option("--slots", config.slots, "Tasks at a time, 1..64")->capture_default_str();
  app.add_option("--threads-per-task", config.threads_per_task, "CPU threads of a task (default: cores / slots)");
  CLI11_PARSE(app, argc, argv);
  espalier::configure_log("worker", espalier::LogLevel::kInfo, espalier::LogFormat::kText);

  auto agent = espalier::worker::Agent::create(std::move(config));
  if (!agent.ok()) {
    std::cerr << "espalier-worker: " << agent.status().message() << "\n";
    return 2;
  }
  std::stop_source stop;
  std::thread([&] { signal.wait(), stop.request_stop(); }).detach();
  const auto status = (*agent)->run(stop.get_token());
  if (!status.ok()) std::cerr << "espalier-worker: " << status.message() << "\n";
  return status.ok() ? 0 : 3;
}
