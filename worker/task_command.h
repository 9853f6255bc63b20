#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "espalier/v1/worker.pb.h"
#include "process/child.h"
#include "worker/config.h"

namespace espalier::worker {

// What a task program reads and writes on this worker. The folder outlives attempts: training goes on from its
// checkpoints.
struct TaskFiles {
  std::filesystem::path folder;               // the task's own; holds the four below
  std::filesystem::path output;               // adapter, dataset or part
  std::filesystem::path pieces;               // checkpoints of a training, finished objects of a preparation
  std::filesystem::path logs;                 // the course of a training, for people
  std::filesystem::path evaluation;           // of its adapter: evaluation.json, contact_sheet.png
  std::vector<std::filesystem::path> inputs;  // archive, prepared dataset, or parts of one
};

// Within the task's folder; without inputs.
TaskFiles task_files(const v1::AssignTask& task, const std::filesystem::path& folder);

// The name of the task's folder: members of a gang on one worker do not share theirs.
std::string folder_name(const v1::TaskLease& lease);

// The artefacts the task program reads, in its order.
std::vector<v1::Artefact> inputs_of(const v1::AssignTask& task);

// The command line and environment of the task program in a slot.
process::ChildSpec task_command(const WorkerConfig& config, const v1::AssignTask& task, const TaskFiles& files,
                                int slot);

// Likewise of espalier-evaluate, which judges the adapter that a training has made.
process::ChildSpec evaluation_command(const WorkerConfig& config, const v1::AssignTask& task, const TaskFiles& files,
                                      int slot);

// "sparse_structure", "geometry", "texture".
std::string denoiser_name(v1::Denoiser denoiser);

}  // namespace espalier::worker
