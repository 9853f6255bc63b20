#pragma once

#include <filesystem>
#include <string>

#include "espalier/v1/worker.pb.h"
#include "process/child.h"
#include "worker/config.h"

namespace espalier::worker {

// Where a task keeps its files on this worker. The folder outlives attempts: training goes on from its checkpoints.
struct TaskFolder {
  std::filesystem::path root;         // <data_dir>/tasks/<task id>
  std::filesystem::path input;        // archive or prepared dataset, in the shared cache
  std::filesystem::path output;       // what the program writes
  std::filesystem::path checkpoints;  // training: checkpoints; preprocess: finished objects
};

TaskFolder task_folder(const WorkerConfig& config, const v1::AssignTask& task);

// The command line and environment of the task program.
process::ChildSpec task_command(const WorkerConfig& config, const v1::AssignTask& task, const TaskFolder& folder);

// "sparse_structure", "geometry", "texture".
std::string denoiser_name(v1::Denoiser denoiser);

}  // namespace espalier::worker
