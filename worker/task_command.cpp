#include "worker/task_command.h"

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "common/denoiser.h"

namespace espalier::worker {
namespace {

constexpr int kEvaluatedObjects = 16;  // of a job: it costs nothing, so it must end soon

void add_preprocess(std::vector<std::string>& argv, const WorkerConfig& config, const v1::PreprocessTask& task,
                    const TaskFiles& files) {
  for (const auto& argument :
       {files.inputs.front().string(), std::string("--work-dir"), files.pieces.string(), std::string("--resolution"),
        absl::StrCat(task.resolution()), std::string("--seed"), absl::StrCat(task.seed())}) {
    argv.push_back(argument);
  }
  if (!config.blender.empty()) argv.insert(argv.end(), {"--blender", config.blender});
  if (task.shards() > 1) {
    argv.insert(argv.end(), {"--shard", absl::StrCat(task.shard(), "/", task.shards())});
  }
}

void add_merge(std::vector<std::string>& argv, const TaskFiles& files) {
  argv.push_back("--merge");
  for (const auto& part : files.inputs) argv.push_back(part.string());
}

void add_gang(std::vector<std::string>& argv, const WorkerConfig& config, const v1::Gang& gang, int member) {
  const auto seconds = [](std::chrono::milliseconds time) {
    return absl::StrCat(std::chrono::ceil<std::chrono::seconds>(time).count());
  };
  const auto rendezvous = member == 0 ? absl::StrCat(config.advertise_address, ":0")
                                      : absl::StrCat(gang.master_host(), ":", gang.master_port());
  argv.insert(argv.end(), {"--world-size", absl::StrCat(gang.world_size()), "--member", absl::StrCat(member),
                           "--rendezvous", rendezvous, "--rendezvous-timeout", seconds(config.rendezvous_timeout),
                           "--answer-timeout", seconds(config.answer_timeout)});
}

void add_train(std::vector<std::string>& argv, const v1::TrainTask& task, const TaskFiles& files) {
  const auto add = [&](const char* flag, const std::string& value) {
    argv.push_back(flag);
    argv.push_back(value);
  };
  add("--dataset", files.inputs.front().string());
  add("--denoiser", denoiser_name(task.denoiser()));
  add("--resolution", absl::StrCat(task.resolution()));
  add("--rank", absl::StrCat(task.rank()));
  add("--steps", absl::StrCat(task.steps()));
  // Shortest text that reads back as the same double: the adapter must not depend on how the rate travelled.
  char rate[32];
  std::snprintf(rate, sizeof rate, "%.17g", task.learning_rate());
  add("--lr", rate);
  add("--seed", absl::StrCat(task.seed()));
  if (task.batch_size() > 0) add("--batch-size", absl::StrCat(task.batch_size()));
  for (const int view : task.holdout_views()) add("--holdout-view", absl::StrCat(view));
  add("--checkpoint-dir", files.pieces.string());
  add("--log-dir", files.logs.string());
  if (task.checkpoint_interval_steps() > 0) add("--checkpoint-every", absl::StrCat(task.checkpoint_interval_steps()));
}

std::vector<std::string> environment(const WorkerConfig& config, const TaskFiles& files, int slot) {
  std::vector<std::string> result = {
      "PATH=/usr/bin:/bin", absl::StrCat("TMPDIR=", files.folder.string()),
      absl::StrCat("OMP_NUM_THREADS=", config.threads_per_task),
      // Threads that wait by spinning stand still for milliseconds as soon as anything else wants a core.
      "OMP_WAIT_POLICY=PASSIVE", "LC_ALL=C.UTF-8"};
  for (const char* name : {"LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "ASAN_OPTIONS", "UBSAN_OPTIONS"}) {
    if (!config.devices.empty() && std::string_view(name) == "CUDA_VISIBLE_DEVICES") continue;
    if (const char* value = std::getenv(name)) result.push_back(absl::StrCat(name, "=", value));
  }
  if (!config.devices.empty()) {
    const auto& device = config.devices[static_cast<size_t>(slot) % config.devices.size()];
    result.push_back(absl::StrCat("CUDA_VISIBLE_DEVICES=", device));
  }
  return result;
}

}  // namespace

std::string folder_name(const v1::TaskLease& lease) {
  return lease.member() == 0 ? lease.task_id() : absl::StrCat(lease.task_id(), "-member-", lease.member());
}

TaskFiles task_files(const v1::AssignTask& task, const std::filesystem::path& folder) {
  return {.folder = folder,
          .output = folder / (task.has_train() ? "adapter.safetensors" : "dataset.zip"),
          .pieces = folder / (task.has_train() ? "checkpoints" : "objects"),
          .logs = folder / "logs",
          .evaluation = folder / "evaluation",
          .inputs = {}};
}

std::vector<v1::Artefact> inputs_of(const v1::AssignTask& task) {
  if (task.has_train()) return {task.train().dataset()};
  if (task.has_merge()) return {task.merge().parts().begin(), task.merge().parts().end()};
  return {task.preprocess().source()};
}

process::ChildSpec task_command(const WorkerConfig& config, const v1::AssignTask& task, const TaskFiles& files,
                                int slot) {
  process::ChildSpec spec;
  auto& argv = spec.argv;
  argv = {absl::StrCat(config.programs, "/", task.has_train() ? "espalier-train" : "espalier-preprocess")};
  if (task.has_train()) {
    add_train(argv, task.train(), files);
    argv.insert(argv.end(), {"--job-id", task.job_id()});
    if (task.train().has_gang()) add_gang(argv, config, task.train().gang(), task.lease().member());
  } else if (task.has_preprocess()) {
    add_preprocess(argv, config, task.preprocess(), files);
  } else {
    add_merge(argv, files);
  }
  if (!task.has_merge()) {  // a merge takes all its settings from the parts
    argv.insert(argv.end(), {"--base", config.base, "--threads", absl::StrCat(config.threads_per_task)});
  }
  argv.insert(argv.end(), {"--progress-fd", "{progress-fd}", "-o", files.output.string()});
  spec.environment = environment(config, files, slot);
  return spec;
}

process::ChildSpec evaluation_command(const WorkerConfig& config, const v1::AssignTask& task, const TaskFiles& files,
                                      int slot) {
  process::ChildSpec spec;
  spec.argv = {absl::StrCat(config.programs, "/espalier-evaluate"),
               "--dataset",
               files.inputs.front().string(),
               "--base",
               config.base,
               "--device",
               "auto",
               "--adapter",
               files.output.string(),
               "--view",
               absl::StrCat(task.train().evaluation_view()),
               "--max-objects",
               absl::StrCat(kEvaluatedObjects),
               "--progress-fd",
               "{progress-fd}",
               "-o",
               files.evaluation.string()};
  spec.environment = environment(config, files, slot);
  return spec;
}

std::string denoiser_name(v1::Denoiser denoiser) {
  return denoiser == v1::DENOISER_UNSPECIFIED ? "unspecified"
                                              : std::string(to_string(static_cast<Denoiser>(denoiser - 1)));
}

}  // namespace espalier::worker
