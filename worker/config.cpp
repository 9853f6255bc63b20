#include "worker/config.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/files.h"

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

Result<nlohmann::json> read_json(const fs::path& file) {
  ESP_ASSIGN(const auto text, read_file(file, 1 << 20));
  auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::InvalidArgumentError(absl::StrCat(file.string(), ": not a JSON object"));
  return json;
}

// The denoisers espalier-train can train, by the key of the base's pipeline.json that holds their network.
std::vector<v1::Denoiser> trainable(const nlohmann::json& pipeline) {
  const auto models = pipeline.value("/args/models"_json_pointer, nlohmann::json::object());
  if (models.contains("sparse_structure_flow_model")) return {v1::DENOISER_SPARSE_STRUCTURE};
  return {};
}

}  // namespace

void describe(WorkerConfig& config, ConfigTable& table) {
  table.text("coordinator", &config.coordinator, "HOST:PORT of the coordinator.");
  table.text("data_dir", &config.data_dir,
             "Folder for the worker's identity, cached inputs and running tasks. Required.");
  table.text("base", &config.base, "Folder of the base model. Required; its name must be the coordinator's.");
  table.text("programs", &config.programs, "Folder of the task programs; empty: the one this program is in.");
  table.integer("slots", &config.slots, 1, 64, "Tasks at a time.");
  table.integer("threads_per_task", &config.threads_per_task, 0, 1024, "CPU threads of a task; 0: cores / slots.");
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
  for (const char* program : {"espalier-preprocess", "espalier-train"}) {
    if (::access((fs::path(config.programs) / program).c_str(), X_OK) == 0) continue;
    faults.push_back(absl::StrCat("programs: '", config.programs, "' has no executable ", program));
  }
  if (!faults.empty()) return absl::InvalidArgumentError(absl::StrJoin(faults, "\n"));
  if (config.threads_per_task < 1) {
    config.threads_per_task = std::max(1, static_cast<int>(std::thread::hardware_concurrency()) / config.slots);
  }
  for (std::string* path : {&config.data_dir, &config.base, &config.programs}) *path = fs::absolute(*path).string();
  for (const char* folder : {"cache", "tasks"}) {
    fs::create_directories(fs::path(config.data_dir) / folder, error);
    if (error) return absl::InvalidArgumentError(absl::StrCat("data_dir: ", config.data_dir, ": ", error.message()));
  }
  return absl::OkStatus();
}

Result<Identity> load_identity(const WorkerConfig& config) {
  Identity identity;
  ESP_ASSIGN(identity.worker_id, worker_id(fs::path(config.data_dir) / "worker_id"));
  ESP_ASSIGN(const auto about, read_json(fs::path(config.base) / "espalier.json"));
  ESP_ASSIGN(const auto pipeline, read_json(fs::path(config.base) / "pipeline.json"));
  identity.base = about.value("name", std::string());
  if (identity.base.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(config.base, "/espalier.json: has no name"));
  }
  identity.denoisers = trainable(pipeline);
  return identity;
}

}  // namespace espalier::worker
