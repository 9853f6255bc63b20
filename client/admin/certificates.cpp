#include "rpc/certificates.h"

#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/app.h"
#include "client/admin/subjects.h"

namespace espalier::client {
namespace {

Status make(const Command& command, const std::string& folder, const CertificateRequest& request) {
  ESP_ASSIGN(const auto files, make_certificates(folder, request));
  if (command.json) {
    nlohmann::json names = nlohmann::json::array();
    for (const auto& file : files) names.push_back(file.string());
    std::cout << nlohmann::json{{"files", names}}.dump() << std::endl;
    return absl::OkStatus();
  }
  for (const auto& file : files) std::cout << file.string() << "\n";
  std::cout << "Keep the .key files secret, ca.key most of all. docs/operations.md says where each belongs."
            << std::endl;
  return absl::OkStatus();
}

}  // namespace

void add_certificates(cli::App& admin, Command& command) {
  auto& verb = admin.verb("certificates", "Make an authority, and certificates of the server and of workers");
  auto folder = std::make_shared<std::string>();
  auto request = std::make_shared<CertificateRequest>();
  request->workers = {"worker"};
  verb.option("-o,--out", *folder, "Folder; an authority that is in it is used again").required();
  verb.option("--host", request->hosts, "Name or address of the coordinator, beside localhost; may be repeated");
  verb.option("--worker", request->workers, "Name of a worker to make a certificate for; may be repeated")
      .show_default();
  verb.option("--days", request->days, "That they last").range(1, 3650).show_default();
  verb.run([&command, folder, request] {
    command.run = [&command, folder, request] { return make(command, *folder, *request); };
  });
}

}  // namespace espalier::client
