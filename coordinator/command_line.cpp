#include "coordinator/command_line.h"

#include <iostream>

#include "absl/strings/str_cat.h"
#include "common/log.h"
#include "coordinator/config.h"
#include "coordinator/coordinator.h"

namespace espalier::coordinator {
namespace {

using Overrides = std::vector<std::pair<std::string, std::string>>;

Result<Overrides> overrides(const CommandLine& line) {
  Overrides out;
  for (const std::string& setting : line.settings) {
    const auto equals = setting.find('=');
    if (equals == std::string::npos || equals == 0) {
      return absl::InvalidArgumentError(absl::StrCat("--set ", setting, ": is not KEY=VALUE"));
    }
    out.emplace_back(setting.substr(0, equals), setting.substr(equals + 1));
  }
  if (!line.listen.empty()) out.emplace_back("listen", line.listen);
  if (!line.data_dir.empty()) out.emplace_back("data_dir", line.data_dir);
  return out;
}

}  // namespace

Status run(const CommandLine& line) {
  ESP_ASSIGN(const Overrides settings, overrides(line));
  ESP_ASSIGN(CoordinatorConfig config, load_coordinator_config(line.config_file, settings));
  if (line.print_config) {
    ConfigTable table;
    describe(config, table);
    std::cout << table.print();
    return absl::OkStatus();
  }
  configure_log("coordinator", config.log_level, config.log_format);
  return run_coordinator(config);
}

}  // namespace espalier::coordinator
