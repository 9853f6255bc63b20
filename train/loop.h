#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "common/status.h"
#include "train/collective.h"
#include "train/random.h"
#include "train/schedule.h"

// The optimisation loop, the same for adapters and for whole networks: items -> batches -> loss -> gradients -> sum
// over the ranks -> clip -> AdamW -> parameters to all ranks -> checkpoint. What is trained and how a loss is made come
// from the caller:
//
//   std::vector<Parameter> trained = …;                       // float32 leaves, names as in the state dict
//   auto loss = [&](std::span<const SampleRef> samples) { return …; };   // scalar mean over the samples, with graph
//   ESP_ASSIGN(auto result, run_loop(config, trained, repeats, loss, hooks, *collective, stop));
//
// Not thread-safe; torch runs its own threads inside.
namespace espalier::train {

// Something that learns. `tensor` must be a float32 leaf; the loop moves its storage into one flat buffer (the handle
// stays valid and sees every update), turns requires_grad on, and owns `.grad`.
struct Parameter {
  std::string name;  // unique
  at::Tensor tensor;
};

struct LoopConfig {
  int64_t steps = 1000;    // updates
  int64_t batch_size = 8;  // samples of an update over all ranks
  // Most samples of one loss call. While this does not depend on the number of ranks, neither does any bit of the
  // result (on CPUs of one kind, with equal threads). 0: one call per rank, which makes results differ by rounding.
  int64_t micro_batch = 0;
  // For items of different sizes: tokens of each item, >= 1 (empty: all equal), and the most of one loss call (0: any).
  std::vector<int64_t> item_tokens;
  int64_t micro_tokens = 0;
  uint64_t seed = 0;  //
  Schedule schedule;  // learning rate by step
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weight_decay = 0.01;
  double max_grad_norm = 1.0;
  double clip_percentile = 95;  // of the last 1000 norms, once there are so many
  double ema_decay = 0;         // 0: off; else the rate of update n is min(ema_decay, (1 + n) / (10 + n))
  int64_t validate_every = 0;   // 0: only before the first and after the last update

  std::filesystem::path checkpoint_folder;  // empty: none
  int64_t checkpoint_every = 100;
  int keep_checkpoints = 2;
  bool resume = true;
  // What must be equal for a checkpoint to be continued (dataset id, base hash, rank, …). A checkpoint with another
  // text is refused: FAILED_PRECONDITION.
  std::string fingerprint;
};

struct StepReport {
  int64_t step = 0;  // updates done, 1..steps
  double loss = 0;   // mean over the tokens of the global batch
  double learning_rate = 0;
  double grad_norm = 0;         // before clipping
  double seconds_per_step = 0;  // smoothed
  double eta_seconds = 0;       //
  bool skipped = false;         // the gradient was not finite: no update was made
};

struct ValidationReport {
  double loss = 0;             // mean of `losses`
  std::vector<double> times;   // flow times
  std::vector<double> losses;  // one per time
};

// All optional. `validate` runs without gradients, on every rank, with the averaged weights when there is an average;
// `on_start` runs on every rank; the other hooks run on rank 0.
struct LoopHooks {
  std::function<void(int64_t resumed_at)> on_start;
  std::function<void(const StepReport&)> on_step;
  std::function<ValidationReport()> validate;
  std::function<void(std::string_view when, int64_t step, const ValidationReport&)>
      on_validation;  // before/during/after
  std::function<void(int64_t step, const std::filesystem::path&)> on_checkpoint;
  std::function<void(const std::string&)> on_warning;
  // What the caller keeps with each checkpoint, and gets back before on_start when the run goes on from it.
  std::function<nlohmann::json()> save_extra;
  std::function<void(const nlohmann::json&)> restore_extra;
};

// Scalar mean loss over the tokens of the samples, with its graph. Called once per loss call, on the rank that makes
// it.
//
// Calls count by their tokens: the loss of an update is the mean over all tokens of its batch, however it is cut. The
// reference gives its micro-batches equal weight, having cut them to nearly equal numbers of tokens; the same rule for
// calls of any size would make an object's weight depend on its neighbours in the call.
using LossFunction = std::function<at::Tensor(std::span<const SampleRef>)>;

struct LoopResult {
  int64_t steps = 0;
  int64_t resumed_at = 0;
  double last_loss = 0;
  std::optional<ValidationReport> validation_before, validation_after;
};

// Trains to the end. Afterwards the parameters hold the final weights, or their average when ema_decay > 0.
// `repeats` has one entry >= 1 per item: how often an epoch shows it. Every rank calls it with equal arguments
// (checked: FAILED_PRECONDITION); rank 0 alone reads and writes checkpoints. A rank without samples in an update still
// joins. A run may go on from its checkpoint with another number of ranks.
// CANCELLED: stopped on any rank, after a checkpoint. UNAVAILABLE, DEADLINE_EXCEEDED: another rank is lost (see
// Collective). DATA_LOSS: the ranks' parameters differ at a checkpoint, which is then not written.
Result<LoopResult> run_loop(const LoopConfig& config, std::vector<Parameter> parameters,
                            const std::vector<int>& repeats, const LossFunction& loss, const LoopHooks& hooks,
                            Collective& collective, std::stop_token stop = {});

}  // namespace espalier::train
