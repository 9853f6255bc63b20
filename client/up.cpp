#include <grpcpp/grpcpp.h>

#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "cli/app.h"
#include "client/command.h"
#include "client/services.h"
#include "common/installation.h"

namespace espalier::client {
namespace {

namespace fs = std::filesystem;

struct UpOptions {
  fs::path data_dir, base;
  int port = 7430, inference_port = 7431;
  int slots = 1;
};

Result<fs::path> find_base(const UpOptions& options, const fs::path& programs) {
  const fs::path base = options.base.empty() ? nano_base(programs) : options.base;
  std::error_code error;
  if (!base.empty() && fs::exists(base / "pipeline.json", error)) return fs::absolute(base);
  return absl::InvalidArgumentError(absl::StrCat(
      "--base: ", base.empty() ? "no nano base beside this program" : base.string() + " has no pipeline.json",
      " (allowed: a base model folder)"));
}

void announce(const Command& command, const UpOptions& options, const fs::path& base, const Services& services) {
  if (command.json) {
    const nlohmann::json ready = {{"coordinator", services.coordinator()},
                                  {"inference", services.inference()},
                                  {"key_file", services.key_file().string()},
                                  {"data_dir", options.data_dir.string()},
                                  {"base", base.string()}};
    std::cout << ready.dump() << std::endl;
    return;
  }
  std::cout << "coordinator  " << services.coordinator() << "\ninference    " << services.inference()
            << "\nbase         " << base.string() << "\ndata         " << options.data_dir.string() << "\nlogs         "
            << (options.data_dir / "logs").string() << "\n\n"
            << "Ready. In another terminal:\n  espalier submit assets.zip --denoisers sparse_structure --watch\n"
            << "  espalier generate image.png --adapter sparse_structure.safetensors -o model.glb\n"
            << "Ctrl-C stops everything; jobs go on at the next start." << std::endl;
}

Status up(const Command& command, UpOptions options) {
  const fs::path programs = programs_folder();
  ESP_TRY(check_libtorch(programs));
  if (options.data_dir.empty()) options.data_dir = default_data_dir();
  options.data_dir = fs::absolute(options.data_dir);
  ESP_ASSIGN(const auto base, find_base(options, programs));
  ESP_ASSIGN(auto services, Services::start({.programs = programs,
                                             .data_dir = options.data_dir,
                                             .base = base,
                                             .coordinator_port = options.port,
                                             .inference_port = options.inference_port,
                                             .slots = options.slots},
                                            command.stop));
  announce(command, options, base, services);
  return services.wait(command.stop);
}

}  // namespace

void add_up(cli::App& app, Command& command) {
  auto& verb = app.verb("up", "Start coordinator, one worker and the inference service on this machine");
  auto options = std::make_shared<UpOptions>();
  verb.option("--data-dir", options->data_dir, "Where everything is kept (default: ~/.local/share/espalier)");
  verb.option("--base", options->base, "Base model folder (default: the nano base)");
  verb.option("--port", options->port, "Of the coordinator; 0 takes a free one").range(0, 65535).show_default();
  verb.option("--inference-port", options->inference_port, "Of the inference service; 0 takes a free one")
      .range(0, 65535)
      .show_default();
  verb.option("--slots", options->slots, "Tasks at a time").range(1, 64).show_default();
  verb.run([&command, options] {
    command.needs_coordinator = false;  // it starts the one that others connect to
    command.run = [&command, options] { return up(command, *options); };
  });
}

}  // namespace espalier::client
