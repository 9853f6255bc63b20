#include "worker/task_command.h"

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "common/denoiser.h"

namespace espalier::worker {
namespace {

const v1::Artefact& input_of(const v1::AssignTask& task) {
  return task.has_train() ? task.train().dataset() : task.preprocess().source();
}

void add_preprocess(std::vector<std::string>& argv, const v1::PreprocessTask& task, const TaskFolder& folder) {
  for (const auto& argument :
       {folder.input.string(), std::string("--work-dir"), folder.checkpoints.string(), std::string("--resolution"),
        absl::StrCat(task.resolution()), std::string("--seed"), absl::StrCat(task.seed())}) {
    argv.push_back(argument);
  }
}

void add_train(std::vector<std::string>& argv, const v1::TrainTask& task, const TaskFolder& folder) {
  const auto add = [&](const char* flag, const std::string& value) {
    argv.push_back(flag);
    argv.push_back(value);
  };
  add("--dataset", folder.input.string());
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
  add("--checkpoint-dir", folder.checkpoints.string());
  if (task.checkpoint_interval_steps() > 0) add("--checkpoint-every", absl::StrCat(task.checkpoint_interval_steps()));
}

}  // namespace

TaskFolder task_folder(const WorkerConfig& config, const v1::AssignTask& task) {
  TaskFolder folder;
  folder.root = std::filesystem::path(config.data_dir) / "tasks" / task.lease().task_id();
  folder.input = std::filesystem::path(config.data_dir) / "cache" / absl::StrCat(input_of(task).sha256(), ".zip");
  folder.output = folder.root / (task.has_train() ? "adapter.safetensors" : "dataset.zip");
  folder.checkpoints = folder.root / (task.has_train() ? "checkpoints" : "objects");
  return folder;
}

process::ChildSpec task_command(const WorkerConfig& config, const v1::AssignTask& task, const TaskFolder& folder) {
  process::ChildSpec spec;
  spec.argv = {absl::StrCat(config.programs, "/", task.has_train() ? "espalier-train" : "espalier-preprocess")};
  if (task.has_train()) {
    add_train(spec.argv, task.train(), folder);
    spec.argv.insert(spec.argv.end(), {"--job-id", task.job_id()});
  } else {
    add_preprocess(spec.argv, task.preprocess(), folder);
  }
  const std::vector<std::string> common = {
      "--base",        config.base,     "--threads", absl::StrCat(config.threads_per_task),
      "--progress-fd", "{progress-fd}", "-o",        folder.output.string()};
  spec.argv.insert(spec.argv.end(), common.begin(), common.end());
  spec.environment = {
      "PATH=/usr/bin:/bin", absl::StrCat("TMPDIR=", folder.root.string()),
      absl::StrCat("OMP_NUM_THREADS=", config.threads_per_task),
      // Threads that wait by spinning stand still for milliseconds as soon as anything else wants a core.
      "OMP_WAIT_POLICY=PASSIVE", "LC_ALL=C.UTF-8"};
  for (const char* name : {"LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "ASAN_OPTIONS", "UBSAN_OPTIONS"}) {
    if (const char* value = std::getenv(name)) spec.environment.push_back(absl::StrCat(name, "=", value));
  }
  return spec;
}

std::string denoiser_name(v1::Denoiser denoiser) {
  return denoiser == v1::DENOISER_UNSPECIFIED ? "unspecified"
                                              : std::string(to_string(static_cast<Denoiser>(denoiser - 1)));
}

}  // namespace espalier::worker
