#include "worker/config.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base_description.h"
#include "common/cores.h"
#include "common/files.h"
#include "common/installation.h"
#include "common/route.h"

namespace espalier::worker {
namespace {

namespace fs = std::filesystem;

constexpr char kIdAlphabet[] = "0123456789abcdefghijklmnopqrstuvwxyz";
constexpr size_t kIdLength = 26;

bool is_worker_id(const std::string& text) {
  return text.size() == 4 + kIdLength && text.starts_with("wrk_") &&
         text.find_first_not_of(kIdAlphabet, 4) == std::string::npos;
}

std::string new_worker_id() {
  std::random_device random;
  std::string id = "wrk_";
  for (size_t i = 0; i < kIdLength; ++i) id.push_back(kIdAlphabet[random() % 36]);
  return id;
}

Result<std::string> worker_id(const fs::path& file) {
  if (const auto text = read_file(file, 1024); text.ok()) {
    if (is_worker_id(*text)) return *text;
    return absl::DataLossError(absl::StrCat(file.string(), ": not a worker id; remove the file to get a new one"));
  }
  const std::string id = new_worker_id();
  ESP_TRY(write_file_atomic(file, id));
  return id;
}

// Without the port; a coordinator that cannot be resolved now may be later, so the host's name must do then.
std::string own_address(const std::string& coordinator) {
  std::string host = coordinator.substr(0, coordinator.rfind(':'));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const auto address = address_towards(host);
  return address.ok() ? *address : host_name();
}

}  // namespace

void describe(WorkerConfig& config, ConfigTable& table) {
  table.text("coordinator", &config.coordinator, "HOST:PORT of the coordinator.");
  table.text("key_file", &config.key_file,
             "File with a key of the role worker; empty: the worker shows a certificate instead.");
  table.text("tls.ca_file", &config.tls.ca_file,
             "Authority (PEM) of the coordinator's certificate, or system; empty: no encryption.");
  table.text("tls.certificate_file", &config.tls.certificate_file,
             "This worker's certificate (PEM); its URI spiffe://espalier/worker/NAME makes it a worker.");
  table.text("tls.private_key_file", &config.tls.private_key_file, "Private key (PEM) of the certificate.");
  table.flag("allow_plaintext_remote", &config.allow_plaintext_remote,
             "Send the key unencrypted to another machine; only inside a trusted network.");
  table.text("data_dir", &config.data_dir,
             "Folder for the worker's identity, cached inputs and running tasks. Required.");
  table.text("base", &config.base, "Folder of the base model. Required; its name must be the coordinator's.");
  table.text("programs", &config.programs, "Folder of the task programs; empty: the one this program is in.");
  table.text(
      "preprocess.blender", &config.blender,
      "Reads .blend files: a blender, or a Python with the module bpy; empty: the one that scripts/install-blender "
      "made, or on PATH; none: refuses them.");
  table.integer("slots", &config.slots, 1, 64, "Tasks at a time.");
  table.integer("threads_per_task", &config.threads_per_task, 0, 1024,
                "CPU threads of a task; 0: the cores this process may use / slots.");
  table.list(
      "devices", &config.devices, {},
      "GPUs of this worker, as CUDA_VISIBLE_DEVICES names them; slot i gets the i-th, in turn. Empty: a task sees "
      "all that the worker sees.");
  table.text("advertise_address", &config.advertise_address,
             "Host or address where other workers reach this one when they train together; empty: this machine's "
             "address on the way to the coordinator.");
  table.duration("rendezvous_timeout", &config.rendezvous_timeout, std::chrono::seconds(1), std::chrono::hours(24),
                 "How long the members of a shared training wait for each other to come.");
  table.duration("answer_timeout", &config.answer_timeout, std::chrono::seconds(1), std::chrono::hours(24),
                 "Silence after which a member counts as lost; longer than a step or a validation.");
  table.bytes("disk_limit", &config.disk_limit, Bytes{uint64_t{1} << 20}, Bytes{uint64_t{1} << 50},
              "Most that cached inputs and leftovers of tasks take beside running tasks; the longest unused go first.");
  table.duration("stop_grace", &config.stop_grace, std::chrono::seconds(1), std::chrono::minutes(10),
                 "How long a stopped task may take to write its checkpoint before it is killed.");
  table.choice("log.level", &config.log_level, {"debug", "info", "warning", "error"}, "The least that is logged.");
  table.choice("log.format", &config.log_format, {"text", "json"}, "One line of key=value, or of JSON, per event.");
}

Status complete(WorkerConfig& config) {
  std::error_code error;
  if (config.programs.empty()) config.programs = fs::read_symlink("/proc/self/exe", error).parent_path();
  std::vector<std::string> faults;
  if (config.data_dir.empty()) faults.push_back("data_dir: not set (allowed: a folder the worker may write)");
  if (!fs::exists(fs::path(config.base) / "pipeline.json", error)) {
    faults.push_back(absl::StrCat("base: '", config.base, "' has no pipeline.json (allowed: a base model folder)"));
  }
  for (const char* program : {"espalier-preprocess", "espalier-train", "espalier-evaluate"}) {
    if (::access((fs::path(config.programs) / program).c_str(), X_OK) == 0) continue;
    faults.push_back(absl::StrCat("programs: '", config.programs, "' has no executable ", program));
  }
  if (!config.blender.empty() && config.blender != "none" && ::access(config.blender.c_str(), X_OK) != 0) {
    faults.push_back(absl::StrCat("preprocess.blender: '", config.blender, "' is not an executable file"));
  }
  if (!faults.empty()) return absl::InvalidArgumentError(absl::StrJoin(faults, "\n"));
  ESP_TRY(check_libtorch(config.programs));
  if (config.threads_per_task < 1) {
    config.threads_per_task = std::max(1, usable_cores() / config.slots);
  }
  if (config.advertise_address.empty()) config.advertise_address = own_address(config.coordinator);
  for (std::string* path : {&config.data_dir, &config.base, &config.programs}) *path = fs::absolute(*path).string();
  if (!config.blender.empty() && config.blender != "none") config.blender = fs::absolute(config.blender).string();
  for (const char* folder : {"cache", "tasks"}) {
    fs::create_directories(fs::path(config.data_dir) / folder, error);
    if (error) return absl::InvalidArgumentError(absl::StrCat("data_dir: ", config.data_dir, ": ", error.message()));
  }
  return absl::OkStatus();
}

Result<ChannelSecurity> channel_security(const WorkerConfig& config) {
  ChannelSecurity security{.key = {}, .tenant_id = "", .tls = config.tls};
  security.allow_plaintext_remote = config.allow_plaintext_remote;
  if (config.key_file.empty()) return security;
  auto key = read_key_file(config.key_file);
  if (!key.ok()) return absl::InvalidArgumentError(absl::StrCat("key_file: ", std::string(key.status().message())));
  security.key = *std::move(key);
  return security;
}

Result<Identity> load_identity(const WorkerConfig& config) {
  Identity identity;
  ESP_ASSIGN(identity.worker_id, worker_id(fs::path(config.data_dir) / "worker_id"));
  ESP_ASSIGN(auto base, describe_base(config.base));
  identity.base = std::move(base.name);
  for (const Denoiser denoiser : base.denoisers) {
    identity.denoisers.push_back(static_cast<v1::Denoiser>(static_cast<int>(denoiser) + 1));
  }
  return identity;
}

}  // namespace espalier::worker
