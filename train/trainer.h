#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "common/status.h"
#include "train/collective.h"

// Fine-tunes one denoiser of a base model on a prepared dataset: prepared dataset in, adapter file out.
// This header is free of torch; it is what espalier-train and tests call.
namespace espalier::train {

struct TrainConfig {
  std::string dataset;                          // prepared dataset, zip or folder
  std::string base;                             // folder of the base model
  std::string output;                           // adapter file to write, .safetensors
  std::string denoiser = "sparse_structure";    // sparse_structure or geometry
  int resolution = 512;                         // 512 or 1024: must be the dataset's
  int rank = 32;                                // 16, 32 or 64
  std::optional<double> alpha;                  // (0, 1024]; absent: the rank, so that the scaling is 1
  std::string targets = "attn+mlp";             // attn+mlp, attn, or a comma list of module suffixes
  int64_t steps = 1000;                         // optimizer updates, 100..10000
  std::optional<double> learning_rate;          // 1e-6..1e-2; absent: what the base recommends, else 1e-4
  std::string schedule = "constant";            // constant or cosine (to 2 % of the rate)
  int64_t warmup_steps = 0;                     // 0..steps, linear, in front of either schedule
  double condition_dropout = 0.1;               // 0..1, probability of training on the empty condition
  double ema_decay = 0;                         // 0 (off)..0.9999; the exported weights are then the average
  std::optional<int> batch_size;                // 1..256 samples of an update over all ranks; absent: by denoiser
  int micro_batch = 0;                          // most samples of a loss call, 0..batch_size; 0: as many as fit
  int64_t max_tokens_per_call = 0;              // 0: by denoiser, or any with micro_batch; one sample is never cut
  std::string gradient_checkpointing = "auto";  // auto, all, none or a number of first blocks
  uint64_t seed = 0;                            //
  std::vector<int> holdout_views;               // view numbers never trained on; validation then uses these
  int64_t validate_every = 0;                   // steps; 0: only before and after
  std::string save_dtype = "bf16";              // bf16, fp32 or fp16
  std::string precision = "fp32";  // of the frozen blocks: fp32 or bf16; adapter and optimizer are always fp32
  std::string peft_folder;         // also write adapter_config.json + adapter_model.safetensors; empty: no
  std::string checkpoint_folder;   // empty: no checkpoints
  int64_t checkpoint_every = 100;  // steps, >= 1
  int keep_checkpoints = 2;        // >= 1, the newest
  bool resume = true;              // continue from the newest usable checkpoint of the folder
  std::string log_folder;          // metrics.jsonl and TensorBoard events (train/training_log.h); empty: none
  int64_t condition_cache_bytes = 2ll << 30;  // memory for encoded views; 0: encode each time
  int threads = 0;                            // CPU threads; 0: leave as is
  std::string job_id;                         // recorded in the adapter's header
  std::string created_utc;                    // likewise; empty: not recorded, so that equal runs give equal bytes
  GroupAddress group;                         // the ranks that train together; by default this one alone
};

// Every rule of the comments above at once: INVALID_ARGUMENT whose message lists all faults, one per line, as
// `field: what is wrong (allowed: …)`.
Status validate(const TrainConfig& config);

struct TrainResult {
  std::string path;    // of the adapter
  uint64_t bytes = 0;  // of the file
  std::string sha256;  // of the file
  int64_t steps = 0;
  double validation_before = 0;  // mean fixed-noise loss
  double validation_after = 0;
};

// Called from the training thread with the events of docs/formats/events.md (rendezvous, started, step, validation,
// checkpoint, log, result). Must not throw.
using EventCallback = std::function<void(const nlohmann::json&)>;

// Trains and writes the adapter, alone or as one rank of a group: all ranks take the same config but for `group`; rank
// 0 reads and writes files, and tells the events (the others only `started` and warnings).
//
// CANCELLED: `stop` was set; a checkpoint was written first (when there is a folder for it), so the same call goes on
// from there. INVALID_ARGUMENT: config, dataset or base do not fit together. Errors of a group: see run_loop and
// Collective::connect. Running it again after a crash, also with another number of ranks, gives the same adapter, bit
// for bit, as an undisturbed run (fp32 on CPUs of one kind with the same number of threads per rank).
Result<TrainResult> train(const TrainConfig& config, std::stop_token stop = {}, const EventCallback& on_event = {});

}  // namespace espalier::train
