#include "client/hub/fetch_base.h"

#include <cstdlib>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/app.h"
#include "cli/board.h"
#include "client/command.h"

namespace espalier::client {
namespace {

struct Arguments {
  FetchBaseOptions options;
  std::vector<std::string> denoisers;  // empty: all
};

std::string from_environment(const char* name, const std::string& otherwise = "") {
  const char* value = std::getenv(name);
  return value && *value != '\0' ? value : otherwise;
}

void print(const Command& command, const FetchBaseOptions& options, const FetchedBase& fetched) {
  const std::string base = options.folder.string();
  if (command.json) {
    const nlohmann::json object = {{"base", base},
                                   {"files", fetched.files},
                                   {"bytes", fetched.bytes},
                                   {"downloaded_bytes", fetched.downloaded},
                                   {"revisions", fetched.revisions}};
    std::cout << object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
    return;
  }
  std::cout << base << ": " << fetched.files << " files, " << cli::bytes_text(fetched.bytes) << ", "
            << cli::bytes_text(fetched.downloaded) << " of them downloaded now, all checked\n"
            << "Use it with --base " << base << ", for example: espalier up --base " << base << std::endl;
}

Status fetch(const Command& command, Arguments arguments) {
  FetchBaseOptions& options = arguments.options;
  options.hub.endpoint = from_environment("HF_ENDPOINT", kDefaultHub);
  options.hub.token = from_environment("HF_TOKEN");
  options.hub.stop = command.stop;
  options.silent = command.json;
  if (!arguments.denoisers.empty()) options.selection.denoisers.clear();
  for (const auto& name : arguments.denoisers) options.selection.denoisers.push_back(*parse_denoiser(name));
  ESP_ASSIGN(const FetchedBase fetched, fetch_base(options));
  print(command, options, fetched);
  return absl::OkStatus();
}

}  // namespace

void add_fetch_base(cli::App& app, Command& command) {
  auto& verb = app.verb("fetch-base", "Download the official weights as a base; may be interrupted and repeated");
  auto arguments = std::make_shared<Arguments>();
  auto& options = arguments->options;
  verb.footer("HF_TOKEN is needed for the gated image encoder; HF_ENDPOINT names another hub (default: " +
              std::string(kDefaultHub) + ").");
  verb.option("-o,--output", options.folder, "Folder of the base").show_default();
  verb.option("--repo", options.repo, "Model repository with a pipeline.json, owner/name").show_default();
  verb.option("--revision", options.revision,
              "Its branch, tag or commit (default: the commit the folder already has, else main)");
  verb.option("--tiers", options.selection.tiers, "512, 1024; comma-separated")
      .separated_by_commas()
      .choices({"512", "1024"})
      .show_default();
  verb.option("--only", arguments->denoisers,
              "What is to be trained or generated: sparse_structure, geometry, texture; comma-separated "
              "(default: all)")
      .separated_by_commas()
      .choices({"sparse_structure", "geometry", "texture"});
  verb.option("--image-encoder", options.selection.image_encoder,
              "Take the DINOv3 image encoder from this repository (default: the one pipeline.json names)");
  verb.flag("--verify", options.verify, "Read all files again, also those an earlier fetch has checked");
  verb.run([&command, arguments] {
    command.needs_coordinator = false;
    command.run = [&command, arguments] { return fetch(command, *arguments); };
  });
}

}  // namespace espalier::client
