#include "client/security.h"

#include <unistd.h>

#include <cstdlib>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/log.h"

namespace espalier::client {
namespace {

namespace fs = std::filesystem;

// Of the coordinator that runs as a service of this system; only root can read it.
constexpr char kSystemOperatorKey[] = "/var/lib/espalier-coordinator/keys/operator.key";

fs::path home() {
  const char* home = std::getenv("HOME");
  return home ? fs::path(home) : fs::path();
}

fs::path link_path(const std::string& address) { return default_data_dir() / "local" / absl::StrCat(address, ".key"); }

fs::path config_key_file() {
  if (const char* config = std::getenv("XDG_CONFIG_HOME")) return fs::path(config) / "espalier/key";
  return home() / ".config/espalier/key";
}

// The first of the files that exists.
Result<std::optional<Credentials>> first_key(const std::vector<fs::path>& files) {
  for (const fs::path& file : files) {
    auto key = read_key_file(file);
    if (absl::IsNotFound(key.status())) continue;
    ESP_TRY(key.status());
    return *std::move(key);
  }
  return std::nullopt;
}

Result<std::optional<Credentials>> find_key(const SecurityOptions& options, bool local,
                                            const std::string& coordinator) {
  if (!options.key.empty()) return parse_key(options.key, "ESPALIER_KEY");
  if (!options.key_file.empty()) {
    auto key = read_key_file(options.key_file);
    if (key.ok()) return *std::move(key);
    return absl::InvalidArgumentError(absl::StrCat("--key-file: ", std::string(key.status().message())));
  }
  std::vector<fs::path> files;
  if (local) files = {link_path(coordinator), default_data_dir() / "coordinator/keys/operator.key"};
  if (local && ::access(kSystemOperatorKey, R_OK) == 0) files.emplace_back(kSystemOperatorKey);
  files.push_back(config_key_file());
  return first_key(files);
}

}  // namespace

Result<ChannelSecurity> find_security(const SecurityOptions& options, const std::string& server,
                                      const std::string& coordinator) {
  ChannelSecurity security{.key = {}, .tenant_id = options.tenant, .tls = options.tls};
  security.allow_plaintext_remote = options.allow_plaintext_remote;
  ESP_ASSIGN(security.key, find_key(options, is_loopback(server) && is_loopback(coordinator), coordinator));
  return security;
}

fs::path default_data_dir() {
  if (const char* data = std::getenv("XDG_DATA_HOME")) return fs::path(data) / "espalier";
  if (!home().empty()) return home() / ".local/share/espalier";
  return "espalier-data";
}

LocalKeyLink::LocalKeyLink(const std::string& address, const fs::path& key_file) : link_(link_path(address)) {
  std::error_code error;
  fs::create_directories(link_.parent_path(), error);
  fs::remove(link_, error);  // of a run that was killed
  fs::create_symlink(fs::absolute(key_file), link_, error);
  if (!error) return;
  log_warning("other commands must name the key", {{"file", key_file.string()}, {"err", error.message()}});
  link_.clear();
}

LocalKeyLink::~LocalKeyLink() {
  std::error_code ignored;
  if (!link_.empty()) fs::remove(link_, ignored);
}

}  // namespace espalier::client
