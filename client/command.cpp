#include "client/command.h"

#include <google/protobuf/util/json_util.h>
#include <grpcpp/channel.h>

#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "cli/app.h"
#include "common/exit_codes.h"
#include "common/log.h"
#include "common/stop_signals.h"
#include "rpc/channel.h"
#include "rpc/status.h"

namespace espalier::client {
namespace {

void report(const Status& status, bool json) {
  if (json) {
    nlohmann::json faults = nlohmann::json::array();
    for (const auto& fault : field_faults(status)) {
      faults.push_back({{"field", fault.field}, {"description", fault.description}});
    }
    const nlohmann::json error = {{"error",
                                   {{"code", absl::StatusCodeToString(status.code())},
                                    {"message", std::string(status.message())},
                                    {"fields", faults}}}};
    std::cout << error.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
  }
  std::cerr << "espalier: " << status.message() << std::endl;
}

void add_security(cli::App& app, SecurityOptions& security) {
  if (const char* key = std::getenv("ESPALIER_KEY")) security.key = key;
  const auto add = [&app](const char* flag, std::string& value, const char* variable, const char* doc) {
    app.option(flag, value, doc).environment(variable);
  };
  add("--key-file", security.key_file, "ESPALIER_KEY_FILE",
      "File with <key id>:<secret>; ESPALIER_KEY holds the key itself. A coordinator on this machine needs neither");
  add("--tenant", security.tenant, "ESPALIER_TENANT", "Operators: act in this tenant instead of the key's own");
  add("--ca-file", security.tls.ca_file, "ESPALIER_CA_FILE",
      "Authority of the servers' certificates (PEM), or system; without it connections are not encrypted");
  app.flag("--allow-plaintext-remote", security.allow_plaintext_remote,
           "Send the key unencrypted to other machines; only inside a trusted network")
      .environment("ESPALIER_ALLOW_PLAINTEXT_REMOTE");
}

// Of this user, by the XDG base directory specification.
std::filesystem::path config_file() {
  const char* folder = std::getenv("XDG_CONFIG_HOME");
  const char* home = std::getenv("HOME");
  const std::filesystem::path base = folder != nullptr && *folder == '/' ? std::filesystem::path(folder)
                                     : home != nullptr                   ? std::filesystem::path(home) / ".config"
                                                                         : std::filesystem::path("/etc");
  return base / "espalier/config.yaml";
}

Status connect(Command& command) {
  ESP_ASSIGN(const auto security, find_security(command.security, command.coordinator, command.coordinator));
  ESP_ASSIGN(command.channel, open_channel(command.coordinator, security));
  return absl::OkStatus();
}

}  // namespace

std::shared_ptr<grpc::Channel> coordinator_channel(const Command& command) { return command.channel; }

std::string to_json(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string text;
  if (!google::protobuf::util::MessageToJsonString(message, &text, options).ok()) return "{}";
  return text;
}

Status explain(const Status& status, const std::string& server) {
  if (absl::IsUnavailable(status)) {
    return absl::UnavailableError(absl::StrCat("no answer from ", server, " (", std::string(status.message()),
                                               "); `espalier up` starts everything on this machine"));
  }
  if (absl::IsUnauthenticated(status)) {
    return absl::UnauthenticatedError(
        absl::StrCat(server, ": ", std::string(status.message()),
                     "; name a key: ESPALIER_KEY=<key id>:<secret>, or --key-file FILE (`espalier admin key create` "
                     "makes one)"));
  }
  const auto faults = field_faults(status);
  if (faults.empty()) return status;
  std::string text = "the request was refused:";
  for (const auto& fault : faults) absl::StrAppend(&text, "\n  ", fault.field, ": ", fault.description);
  Status explained = absl::InvalidArgumentError(text);
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) { explained.SetPayload(url, payload); });
  return explained;
}

int run(int argc, char** argv) {
  const StopSignals signals;  // before any thread
  Command command;
  command.stop = signals.token();
  cli::App app("espalier", "Espalier: LoRA fine-tuning of TRELLIS.2. Start with `espalier up`.");
  app.require_verb();
  app.options_anywhere();
  app.option("--coordinator", command.coordinator, "HOST:PORT of the coordinator")
      .environment("ESPALIER_COORDINATOR")
      .show_default();
  app.option("--inference", command.inference, "HOST:PORT of the inference service")
      .environment("ESPALIER_INFERENCE")
      .show_default();
  add_security(app, command.security);
  app.defaults_from(config_file(), "ESPALIER_CONFIG");
  app.flag("--json", command.json, "Machine-readable output, one JSON object per line");
  for (const auto add : {add_up,       add_submit,     add_jobs,     add_watch,     add_logs,      add_metrics,
                         add_download, add_adapters,   add_datasets, add_artefacts, add_delete,    add_estimate,
                         add_billing,  add_generate,   add_extract,  add_retexture, add_evaluate,  add_render,
                         add_admin,    add_fetch_base, add_setup,    add_doctor,    add_completion}) {
    add(app, command);
  }
  if (const auto done = app.parse(argc, argv)) return *done;
  configure_log("espalier", LogLevel::kWarning, LogFormat::kText);
  const Status connected = command.needs_coordinator ? connect(command) : absl::OkStatus();
  const Status status = connected.ok() ? command.run() : connected;
  if (status.ok()) return kExitOk;
  report(status, command.json);
  return exit_code(status);
}

}  // namespace espalier::client
