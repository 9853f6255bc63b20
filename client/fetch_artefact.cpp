#include "client/fetch_artefact.h"

#include <iostream>

#include "absl/strings/str_format.h"
#include "cli/board.h"
#include "rpc/transfer.h"

namespace espalier::client {

Status fetch_artefact(const Command& command, const std::string& artefact_id,
                      const std::filesystem::path& destination) {
  const auto stub = v1::ArtefactService::NewStub(coordinator_channel(command));
  cli::Board board(command.json);
  const std::string name = destination.filename();
  TransferOptions transfer;
  transfer.stop = command.stop;
  transfer.on_progress = [&](int64_t done, int64_t total) {
    board.set(name,
              absl::StrFormat("%-30s %s  %s", name, cli::bar(static_cast<double>(done) / static_cast<double>(total)),
                              cli::bytes_text(total)),
              done == total);
  };
  const auto artefact = download_file(*stub, artefact_id, destination, transfer);
  if (!artefact.ok()) return explain(artefact.status(), command.coordinator);
  std::cout << (command.json ? to_json(*artefact) : destination.string()) << std::endl;
  return absl::OkStatus();
}

}  // namespace espalier::client
