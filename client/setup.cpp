#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "cli/app.h"
#include "cli/board.h"
#include "client/command.h"
#include "client/setup/place.h"
#include "client/setup/torch_folder.h"
#include "client/setup/wheels.h"
#include "common/installation.h"
#include "common/version.h"

namespace espalier::client {
namespace {

namespace fs = std::filesystem;

struct SetupOptions {
  fs::path torch;
  std::string python;
  bool check = false;
};

struct Outcome {
  fs::path torch;
  bool changed = false;  // by this run
};

void print_outcome(const Command& command, const TorchPlace& place, const Outcome& outcome) {
  std::error_code error;
  const fs::path real = fs::canonical(outcome.torch, error);
  if (command.json) {
    const nlohmann::json object = {{"libtorch", libtorch_version()},
                                   {"link", place.link.string()},
                                   {"folder", real.string()},
                                   {"changed", outcome.changed}};
    std::cout << object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
    return;
  }
  std::cout << "LibTorch " << libtorch_version() << " is in place: " << real.string() << std::endl;
}

void note_gpu(const Command& command) {
  if (std::string(cuda_version()) != "none" || ::access("/dev/nvidiactl", F_OK) != 0 || command.json) return;
  std::cerr << "note: this machine has an NVIDIA GPU, but these programs were built without CUDA and use the CPU\n";
}

// In place already, and the programs start with it.
bool is_ready(const TorchPlace& place, const WantedTorch& wanted) {
  return check_torch(place.link, wanted).ok() && try_programs(place.programs).ok();
}

// The first that fits and works; empty: none. What does not fit is told in a line.
fs::path take_first(const TorchPlace& place, const WantedTorch& wanted, const std::vector<fs::path>& found) {
  for (const fs::path& torch : found) {
    Status status = check_torch(torch, wanted);
    if (status.ok()) status = put_in_place(place, torch);
    if (status.ok()) return torch;
    std::cerr << "not used: " << status.message() << "\n";
  }
  return {};
}

Result<Outcome> set_up(const Command& command, const SetupOptions& options, const TorchPlace& place,
                       const WantedTorch& wanted) {
  if (place.for_services) ::umask(022);  // they read it, whatever root's own habit is
  ESP_TRY(check_writable(place));
  if (!options.torch.empty()) {
    const fs::path torch = fs::absolute(torch_in(options.torch).empty() ? options.torch : torch_in(options.torch));
    ESP_TRY(annotate(check_torch(torch, wanted), "--torch"));
    ESP_TRY(annotate(put_in_place(place, torch), "--torch"));
    return Outcome{torch, true};
  }
  const fs::path found =
      take_first(place, wanted, find_torch({.python_folder = place.python_folder, .programs = program_folders()}));
  if (!found.empty()) return Outcome{found, true};
  if (!command.json) {
    std::cerr << "Installing LibTorch " << wanted.version << " into " << place.python_folder.string() << ", up to "
              << cli::bytes_text(wheels_disk_bytes(wanted)) << " of disk\n";
  }
  ESP_ASSIGN(const fs::path torch, install_wheels({.python_folder = place.python_folder,
                                                   .python = options.python,
                                                   .wanted = wanted,
                                                   .companions = libtorch_companions(),
                                                   .silent = command.json,
                                                   .stop = command.stop}));
  ESP_TRY(put_in_place(place, torch));
  return Outcome{torch, true};
}

// Programs that run where they were built find the LibTorch they were built with.
Status built_here(const fs::path& programs) {
  ESP_TRY(annotate(try_programs(programs), "run scripts/bootstrap"));
  std::cout << "LibTorch " << libtorch_version() << " is that of the build; there is nothing to set up" << std::endl;
  return absl::OkStatus();
}

Status setup(const Command& command, const SetupOptions& options) {
  if (std::string(libtorch_version()) == "none") {
    return absl::FailedPreconditionError("these programs were built without LibTorch: there is nothing to set up");
  }
  const fs::path programs = programs_folder();
  if (libtorch_link(programs).empty()) return built_here(programs);
  const TorchPlace place = torch_place(programs);
  const WantedTorch wanted = {libtorch_version(), cuda_version(), place.for_services};
  if (options.torch.empty() && is_ready(place, wanted)) {
    print_outcome(command, place, {place.link, false});
    return absl::OkStatus();
  }
  if (options.check) {
    ESP_TRY(check_libtorch(place.programs));
    ESP_TRY(annotate(check_torch(place.link, wanted), "run `espalier setup`"));
    return annotate(try_programs(place.programs), "run `espalier setup`");
  }
  ESP_ASSIGN(const Outcome outcome, set_up(command, options, place, wanted));
  print_outcome(command, place, outcome);
  note_gpu(command);
  return absl::OkStatus();
}

}  // namespace

void add_setup(cli::App& app, Command& command) {
  auto& verb = app.verb("setup", "Put LibTorch in place for the installed programs: one that is there, or by pip");
  auto options = std::make_shared<SetupOptions>();
  verb.footer("It may be interrupted and repeated. Package indexes and proxies are set as for any pip (pip config).");
  auto torch = verb.option("--torch", options->torch,
                           "Use the LibTorch in this folder: a torch folder, or a virtual environment with torch")
                   .value(cli::ValueKind::kFolder, "DIR");
  auto python = verb.option("--python", options->python, "Python that makes the virtual environment (default: python3)")
                    .value(cli::ValueKind::kFile, "PROGRAM");
  auto check = verb.flag("--check", options->check, "Only say what is there; fails when LibTorch is not in place");
  check.excludes(torch).excludes(python);
  torch.excludes(python);
  verb.run([&command, options] {
    command.needs_coordinator = false;
    command.run = [&command, options] { return setup(command, *options); };
  });
}

}  // namespace espalier::client
