#include <cstdlib>
#include <ctime>
#include <iostream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/app.h"
#include "client/command.h"
#include "client/doctor/files.h"
#include "client/doctor/kernel.h"
#include "client/doctor/network.h"
#include "client/doctor/programs.h"
#include "client/doctor/resources.h"
#include "common/cores.h"
#include "common/installation.h"
#include "common/version.h"

namespace espalier::client {
namespace {

namespace fs = std::filesystem;

struct DoctorOptions {
  fs::path data_dir, base;
};

std::string environment_text(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

// Best effort: without a coordinator there is nothing to compare the clock with.
std::optional<int64_t> others_clock(Command& command) {
  const auto security = find_security(command.security, command.coordinator, command.coordinator);
  if (!security.ok()) return std::nullopt;
  const auto channel = open_channel(command.coordinator, *security);
  if (!channel.ok()) return std::nullopt;
  command.channel = *channel;
  return coordinator_clock(command);
}

DoctorRows examine(Command& command, const DoctorOptions& options) {
  const fs::path programs = programs_folder(), base = options.base.empty() ? nano_base(programs) : options.base;
  const fs::path data_dir = options.data_dir.empty() ? default_data_dir() : options.data_dir;
  std::error_code error;
  DoctorRows rows = kernel_rows(read_kernel());
  rows.push_back(programs_row(programs, version_text("espalier")));
  rows.push_back(base_row(base));
  rows.push_back(port_row("coordinator", 7430, port_use(7430, "/espalier.v1.JobService/GetJob")));
  rows.push_back(port_row("inference service", 7431, port_use(7431, "/espalier.v1.InferenceService/ExtractGlb")));
  rows.push_back(disk_row("data folder", data_dir));
  rows.push_back(disk_row("temporary folder", fs::temp_directory_path(error)));
  rows.push_back(cores_row(masked_processors(), {}, environment_text("OMP_NUM_THREADS")));
  rows.push_back(memory_row("/proc", {}));
  rows.push_back(clock_row(std::time(nullptr), others_clock(command)));
  rows.push_back(keys_row(data_dir / "coordinator/keys", {command.security.key_file}));
  rows.push_back(blender_row(find_blender({})));
  return rows;
}

const char* health_text(Health health) {
  return health == Health::kOk ? "ok" : health == Health::kWarn ? "warn" : "fail";
}

void print_doctor_row(const DoctorRow& row, bool json) {
  if (json) {
    const nlohmann::json object = {
        {"what", row.what}, {"state", health_text(row.health)}, {"found", row.found}, {"remedy", row.remedy}};
    std::cout << object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
    return;
  }
  std::cout << absl::StrFormat("%-17s %-5s %s\n", row.what, health_text(row.health), row.found);
  if (!row.remedy.empty()) std::cout << absl::StrFormat("%-23s %s\n", "", "-> " + row.remedy);
}

Status doctor(Command& command, const DoctorOptions& options) {
  int failed = 0;
  for (const DoctorRow& row : examine(command, options)) {
    print_doctor_row(row, command.json);
    failed += row.health == Health::kFail;
  }
  std::cout << std::flush;
  if (failed == 0) return absl::OkStatus();
  return absl::AbortedError(absl::StrCat(failed, failed == 1 ? " check" : " checks", " failed"));
}

}  // namespace

void add_doctor(cli::App& app, Command& command) {
  auto& verb = app.verb("doctor", "Look at this machine: is all there that Espalier needs, and in order?");
  auto options = std::make_shared<DoctorOptions>();
  verb.option("--data-dir", options->data_dir, "Of `espalier up` (default: ~/.local/share/espalier)");
  verb.option("--base", options->base, "Base model folder, all of which is read (default: the nano base)");
  verb.run([&command, options] {
    command.needs_coordinator = false;
    command.run = [&command, options] { return doctor(command, *options); };
  });
}

}  // namespace espalier::client
