#include <iostream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/app.h"
#include "cli/board.h"
#include "client/command.h"
#include "client/setup/libtorch.h"
#include "common/installation.h"
#include "common/version.h"
#include "process/child.h"

namespace espalier::client {
namespace {

namespace fs = std::filesystem;

struct SetupOptions {
  std::optional<fs::path> torch;
  std::string torch_text;
  bool cuda = false, check = false;
};

void say(const Command& command, const std::string& state, const fs::path& torch) {
  if (command.json) {
    std::cout << nlohmann::json{{"state", state}, {"torch", torch.string()}}.dump() << std::endl;
  } else {
    std::cout << "LibTorch " << state << ": " << torch.string() << std::endl;
  }
}

// Whether the programs can be loaded with what the link leads to.
Status try_programs(const fs::path& programs) {
  std::string said;
  const auto keep = [&said](std::string_view line) { said.append(line).append("\n"); };
  ESP_ASSIGN(const auto exit,
             process::run_child({{(programs / "espalier-train").string(), "--version"}, {}},
                                {.on_event = keep, .on_log = keep, .on_tick = [] {}}, {}, std::chrono::seconds(5)));
  if (exit.signal == 0 && exit.code == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("espalier-train does not start with it:\n", said));
}

Result<fs::path> find_libtorch(const LibTorchPlace& place, const LibTorchWish& wish, const SetupOptions& options) {
  std::string looked_at;
  for (const fs::path& candidate : libtorch_candidates(place, options.torch, "/opt")) {
    const std::string fault = libtorch_fault(candidate, wish);
    if (fault.empty()) return candidate;
    absl::StrAppend(&looked_at, "\n  ", candidate.string(), " ", fault);
  }
  return absl::NotFoundError(absl::StrCat("no LibTorch ", wish.version, " found; looked at:", looked_at));
}

Result<fs::path> install_with_progress(const Command& command, const LibTorchPlace& place, const LibTorchWish& wish) {
  cli::Board board(command.json);
  const auto total = static_cast<int64_t>(libtorch_bytes(wish));
  const auto show = [&](uint64_t bytes) {
    board.set("install",
              absl::StrFormat("installing LibTorch %s into %s: %s of about %s", wish.version, place.home.string(),
                              cli::bytes_text(static_cast<int64_t>(bytes)), cli::bytes_text(total)));
  };
  show(0);
  return install_libtorch(place, wish, show, command.stop);
}

Status setup(const Command& command, SetupOptions options) {
  const fs::path programs = programs_folder(), folder = private_folder(programs);
  if (folder.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        programs.string(), " is where these programs were built: scripts/bootstrap has put LibTorch in place"));
  }
  if (!options.torch_text.empty()) options.torch = options.torch_text;
  const LibTorchWish wish{libtorch_version(), options.cuda || built_with_cuda()};
  const LibTorchPlace place = libtorch_place(folder);
  if (libtorch_fault(place.link(), wish).empty() && !options.torch) {
    ESP_TRY(try_programs(programs));
    say(command, "is in place", fs::canonical(place.link()));
    return absl::OkStatus();
  }
  auto torch = find_libtorch(place, wish, options);
  if (options.check || options.torch) ESP_TRY(torch.status());
  if (options.check) return say(command, "can be used", *torch), absl::OkStatus();
  if (!torch.ok()) torch = install_with_progress(command, place, wish);
  ESP_TRY(torch.status());
  ESP_TRY(link_libtorch(place, *torch));
  ESP_TRY(try_programs(programs));
  say(command, "was put in place", *torch);
  return absl::OkStatus();
}

}  // namespace

void add_setup(cli::App& app, Command& command) {
  auto& verb = app.verb("setup", "Put LibTorch in place, which packages of Espalier come without; may be repeated");
  auto options = std::make_shared<SetupOptions>();
  verb.option("--torch", options->torch_text, "Take this folder: of a Python's torch, or of LibTorch's own archive")
      .value(cli::ValueKind::kFolder, "DIR");
  verb.flag("--cuda", options->cuda, "With the libraries of CUDA (about 9 GB)");
  verb.flag("--check", options->check, "Only say what is there");
  verb.run([&command, options] { command.run = [&command, options] { return setup(command, *options); }; });
}

}  // namespace espalier::client
