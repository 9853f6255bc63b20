#pragma once

#include <functional>
#include <string>

#include "client/command.h"
#include "common/status.h"

// What the coordinator keeps, by id: `espalier adapters|datasets|artefacts` with list, show and download.
namespace espalier::client {

// A stored file and how it is called when -o names none.
struct StoredFile {
  std::string artefact_id, name;
};

// `list`, with --limit; `list` prints at most so many entries. Returns the verb for further options.
cli::App& add_list_verb(cli::App& noun, Command& command, const std::string& text,
                        const std::function<Status(const Command&, int limit)>& list);
// `show ID`.
void add_show_verb(cli::App& noun, Command& command, const std::string& text,
                   const std::function<Status(const Command&, const std::string& id)>& show);
// `download ID -o FILE|FOLDER`.
void add_download_verb(cli::App& noun, Command& command, const std::string& text,
                       const std::function<Result<StoredFile>(const Command&, const std::string& id)>& find);

}  // namespace espalier::client
