#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "client/security.h"
#include "common/status.h"

namespace espalier::cli {
class App;
}
namespace google::protobuf {
class Message;
}
namespace grpc {
class Channel;
}

// The verbs of the `espalier` command. Each add_… function registers its verbs; the chosen one sets `run`.
namespace espalier::client {

struct Command {
  std::string coordinator = "127.0.0.1:7430";  // HOST:PORT; ESPALIER_COORDINATOR
  std::string inference = "127.0.0.1:7431";    // HOST:PORT; ESPALIER_INFERENCE
  SecurityOptions security;
  bool json = false;                       // machine-readable output on stdout, nothing else there
  std::function<Status()> run;             // of the chosen verb
  bool needs_coordinator = true;           // so that it is connected before the verb runs; the verb says otherwise
  std::shared_ptr<grpc::Channel> channel;  // to the coordinator
  std::stop_token stop;                    // Ctrl-C
};

void add_up(cli::App& app, Command& command);
void add_submit(cli::App& app, Command& command);
void add_jobs(cli::App& app, Command& command);  // jobs, job, cancel
void add_watch(cli::App& app, Command& command);
void add_logs(cli::App& app, Command& command);
void add_metrics(cli::App& app, Command& command);
void add_download(cli::App& app, Command& command);
void add_adapters(cli::App& app, Command& command);
void add_datasets(cli::App& app, Command& command);
void add_artefacts(cli::App& app, Command& command);
void add_delete(cli::App& app, Command& command);
void add_estimate(cli::App& app, Command& command);
void add_billing(cli::App& app, Command& command);
void add_generate(cli::App& app, Command& command);
void add_doctor(cli::App& app, Command& command);
void add_evaluate(cli::App& app, Command& command);
void add_extract(cli::App& app, Command& command);
void add_retexture(cli::App& app, Command& command);
void add_render(cli::App& app, Command& command);
void add_admin(cli::App& app, Command& command);
void add_fetch_base(cli::App& app, Command& command);
void add_setup(cli::App& app, Command& command);
void add_completion(cli::App& app, Command& command);

// With the key and the protection that `command` names; they have been checked before a verb runs.
std::shared_ptr<grpc::Channel> coordinator_channel(const Command& command);

// One line of JSON with the proto's field names and all default values.
std::string to_json(const google::protobuf::Message& message);

// UNAVAILABLE becomes a message that says how to start the server, UNAUTHENTICATED one that says how to name a key;
// field faults become one line each.
Status explain(const Status& status, const std::string& server);

// The whole program. Returns the exit code (common/exit_codes.h).
int run(int argc, char** argv);

}  // namespace espalier::client
