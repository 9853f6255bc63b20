#include "train/command_line.h"

#include <CLI/CLI.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/events.h"
#include "train/stage.h"

namespace espalier::train {
namespace {

// Options whose text becomes something else than one config member.
struct Extra {
  double alpha = 0;
  int batch_size = 0;
  std::string resume = "auto";
  GroupAddress group;
  std::string rendezvous;
  int rendezvous_seconds = 300, answer_seconds = 600;
};

void add_request(CLI::App& app, TrainConfig& config, Extra& extra) {
  app.add_option("--dataset", config.dataset, "prepared dataset, zip or folder");
  app.add_option("--base", config.base, "folder of the base model");
  app.add_option("-o,--output", config.output, "adapter file to write (.safetensors)");
  app.add_option("--denoiser", config.denoiser, absl::StrJoin(trainable_denoisers(), " or "))->capture_default_str();
  app.add_option("--resolution", config.resolution, "512 or 1024")->capture_default_str();
  app.add_option("--rank", config.rank, "16, 32 or 64")->capture_default_str();
  app.add_option("--alpha", extra.alpha, "scaling is alpha / rank; default: the rank");
  app.add_option("--targets", config.targets, "attn+mlp, attn, or module suffixes joined by commas")
      ->capture_default_str();
  app.add_option("--steps", config.steps, "optimizer updates, 100..10000")->capture_default_str();
  app.add_option("--lr", config.learning_rate, "learning rate, 1e-6..1e-2")->capture_default_str();
  app.add_option("--schedule", config.schedule, "constant or cosine")->capture_default_str();
  app.add_option("--warmup-steps", config.warmup_steps, "linear warm-up")->capture_default_str();
  app.add_option("--batch-size", extra.batch_size, "samples of an update, 1..256; default: by denoiser");
  app.add_option("--condition-dropout", config.condition_dropout, "0..1")->capture_default_str();
  app.add_option("--ema", config.ema_decay, "decay of the weight average, 0 (off)..0.9999")->capture_default_str();
  app.add_option("--seed", config.seed, "of everything random")->capture_default_str();
  app.add_option("--holdout-view", config.holdout_views, "view number kept for validation; may be repeated");
}

void add_running(CLI::App& app, CommandLine& line, Extra& extra) {
  auto& config = line.config;
  app.add_option("--micro-batch", config.micro_batch, "most samples of a loss call; 0: as many as fit")
      ->capture_default_str();
  app.add_option("--max-tokens-per-call", config.max_tokens_per_call,
                 "most latent tokens of a loss call; 0: by denoiser, or any with --micro-batch")
      ->capture_default_str();
  app.add_option("--gradient-checkpointing", config.gradient_checkpointing,
                 "compute blocks again in the backward pass: auto, all, none or the number of first blocks")
      ->capture_default_str();
  app.add_option("--precision", config.precision, "of the frozen base: fp32 or bf16")->capture_default_str();
  app.add_option("--save-dtype", config.save_dtype, "of the adapter file: bf16, fp32 or fp16")->capture_default_str();
  app.add_option("--peft-folder", config.peft_folder, "also write the adapter as a PEFT folder");
  app.add_option("--checkpoint-dir", config.checkpoint_folder, "folder of checkpoints; none without it");
  app.add_option("--checkpoint-every", config.checkpoint_every, "steps")->capture_default_str();
  app.add_option("--keep-checkpoints", config.keep_checkpoints, "the newest ones")->capture_default_str();
  app.add_option("--resume", extra.resume, "auto or none")->capture_default_str();
  app.add_option("--validate-every", config.validate_every, "steps; 0: before and after only")->capture_default_str();
  app.add_option("--condition-cache", config.condition_cache_bytes, "bytes for encoded views")->capture_default_str();
  app.add_option("--threads", config.threads, "CPU threads; 0: the default")->capture_default_str();
  app.add_option("--job-id", config.job_id, "recorded in the adapter");
  app.add_option("--created-utc", config.created_utc, "recorded in the adapter");
  app.add_option("--progress-fd", line.progress_fd, "descriptor for progress events as JSON lines");
  app.add_option("--log-dir", config.log_folder, "write metrics.jsonl and TensorBoard events into this folder");
}

void add_group(CLI::App& app, Extra& extra) {
  app.add_option("--world-size", extra.group.world_size, "processes that train together; all take the same arguments")
      ->capture_default_str();
  app.add_option("--member", extra.group.rank, "which of them this is, 0..world-size-1; 0 writes the adapter")
      ->capture_default_str();
  app.add_option("--rendezvous", extra.rendezvous,
                 "HOST:PORT where member 0 listens; port 0 on member 0: any free one, told by the rendezvous event");
  app.add_option("--rendezvous-timeout", extra.rendezvous_seconds, "seconds to wait for the members to come")
      ->capture_default_str();
  app.add_option("--answer-timeout", extra.answer_seconds,
                 "seconds of a member's silence after which it counts as lost; longer than a step or a validation")
      ->capture_default_str();
}

// Without --world-size the environment says which rank this is.
Status read_group(const CLI::App& app, Extra& extra, TrainConfig& config) {
  if (app.count("--world-size") == 0) {
    for (const char* option : {"--member", "--rendezvous"}) {
      if (app.count(option) > 0) return absl::InvalidArgumentError(absl::StrCat(option, " needs --world-size"));
    }
    ESP_ASSIGN(extra.group, group_from_environment());
  } else if (!extra.rendezvous.empty()) {
    const auto colon = extra.rendezvous.rfind(':');
    if (colon == std::string::npos || !absl::SimpleAtoi(extra.rendezvous.substr(colon + 1), &extra.group.port)) {
      return absl::InvalidArgumentError(
          absl::StrCat("rendezvous: '", extra.rendezvous, "' (allowed: HOST:PORT of member 0)"));
    }
    extra.group.host = extra.rendezvous.substr(0, colon);
  }
  extra.group.rendezvous_timeout = std::chrono::seconds(extra.rendezvous_seconds);
  extra.group.timeout = std::chrono::seconds(extra.answer_seconds);
  config.group = extra.group;
  return absl::OkStatus();
}

// All faults of the values at once.
Status check(const CommandLine& line, const Extra& extra, const Status& group) {
  auto faults = std::string(validate(line.config).message());
  if (!group.ok()) absl::StrAppend(&faults, faults.empty() ? "" : "\n", group.message());
  if (extra.resume != "auto" && extra.resume != "none") {
    absl::StrAppend(&faults, faults.empty() ? "" : "\n", "resume: '", extra.resume, "' (allowed: auto, none)");
  }
  return faults.empty() ? absl::OkStatus() : absl::InvalidArgumentError(faults);
}

}  // namespace

Status parse_command_line(int argc, const char* const* argv, CommandLine& line) {
  CLI::App app("Trains a LoRA adapter for one denoiser of a base model on a prepared dataset.", "espalier-train");
  Extra extra;
  add_request(app, line.config, extra);
  add_running(app, line, extra);
  add_group(app, extra);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    line.help = app.help();
    return absl::OkStatus();
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(error.what());
  }
  if (app.count("--alpha") > 0) line.config.alpha = extra.alpha;
  if (app.count("--batch-size") > 0) line.config.batch_size = extra.batch_size;
  line.config.resume = extra.resume == "auto";
  const Status group = read_group(app, extra, line.config);
  return check(line, extra, group);
}

int exit_code(const Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kExitOk;
    case absl::StatusCode::kCancelled:
      return kExitCancelled;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kFailedPrecondition:
      return kExitInvalid;
    default:
      return kExitFailed;
  }
}

}  // namespace espalier::train
