#pragma once

#include <filesystem>
#include <string>

#include "common/status.h"
#include "rpc/channel.h"

// Which key the command line calls with, and how its connections are protected.
namespace espalier::client {

struct SecurityOptions {
  std::string key;       // <key id>:<secret>; from ESPALIER_KEY only, so that it is on no command line
  std::string key_file;  // ESPALIER_KEY_FILE
  std::string tenant;    // ESPALIER_TENANT: an operator's, to act in another tenant
  ClientTls tls;         // ESPALIER_CA_FILE, …
  bool allow_plaintext_remote = false;
};

// For calls to `server`, HOST:PORT. The key is the first of: ESPALIER_KEY, the key file, and, for servers on this
// machine only, the key that the local coordinator keeps in its data folder; else ~/.config/espalier/key, else none.
// INVALID_ARGUMENT: a key or file that is named and does not hold one.
Result<ChannelSecurity> find_security(const SecurityOptions& options, const std::string& server,
                                      const std::string& coordinator);

// Where `espalier up` keeps everything: $XDG_DATA_HOME/espalier, ~/.local/share/espalier.
std::filesystem::path default_data_dir();

// Tells this user's other commands, while it exists, which file holds the key of the coordinator at `address`: a link
// to it under default_data_dir(). Best effort: without it the key must be named.
class LocalKeyLink {
 public:
  LocalKeyLink(const std::string& address, const std::filesystem::path& key_file);
  ~LocalKeyLink();
  LocalKeyLink(const LocalKeyLink&) = delete;
  LocalKeyLink& operator=(const LocalKeyLink&) = delete;

 private:
  std::filesystem::path link_;
};

}  // namespace espalier::client
