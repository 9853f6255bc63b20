#include "client/catalogue/verbs.h"

#include <filesystem>
#include <memory>

#include "cli/app.h"
#include "client/fetch_artefact.h"

namespace espalier::client {
namespace {

namespace fs = std::filesystem;

struct WhereTo {
  std::string id;
  fs::path output;
};

fs::path destination(const WhereTo& options, const std::string& name) {
  if (options.output.empty()) return name;
  std::error_code error;
  return fs::is_directory(options.output, error) ? options.output / name : options.output;
}

}  // namespace

cli::App& add_list_verb(cli::App& noun, Command& command, const std::string& text,
                        const std::function<Status(const Command&, int limit)>& list) {
  auto& verb = noun.verb("list", text);
  auto limit = std::make_shared<int>(50);
  verb.option("--limit", *limit, "At most so many").range(1, 1'000'000).show_default();
  verb.run([&command, limit, list] { command.run = [&command, limit, list] { return list(command, *limit); }; });
  return verb;
}

void add_show_verb(cli::App& noun, Command& command, const std::string& text,
                   const std::function<Status(const Command&, const std::string& id)>& show) {
  auto& verb = noun.verb("show", text);
  auto id = std::make_shared<std::string>();
  verb.option("id", *id, "Its id").required();
  verb.run([&command, id, show] { command.run = [&command, id, show] { return show(command, *id); }; });
}

void add_download_verb(cli::App& noun, Command& command, const std::string& text,
                       const std::function<Result<StoredFile>(const Command&, const std::string& id)>& find) {
  auto& verb = noun.verb("download", text);
  auto options = std::make_shared<WhereTo>();
  verb.option("id", options->id, "Its id").required();
  verb.option("-o,--output", options->output, "File, or a folder that exists (default: here, under its name)");
  verb.run([&command, options, find] {
    command.run = [&command, options, find]() -> Status {
      ESP_ASSIGN(const StoredFile file, find(command, options->id));
      return fetch_artefact(command, file.artefact_id, destination(*options, file.name));
    };
  });
}

}  // namespace espalier::client
