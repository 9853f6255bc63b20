#include "train/command_line.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/app.h"
#include "common/exit_codes.h"
#include "common/installation.h"
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

void add_request(cli::App& app, TrainConfig& config, Extra& extra) {
  app.option("--dataset", config.dataset, "prepared dataset, zip or folder");
  app.option("--base", config.base, "folder of the base model (default: the nano base)");
  app.option("-o,--output", config.output, "adapter file to write (.safetensors)");
  app.option("--denoiser", config.denoiser, absl::StrJoin(trainable_denoisers(), " or ")).show_default();
  app.option("--resolution", config.resolution, "512 or 1024").show_default();
  app.option("--rank", config.rank, "16, 32 or 64").show_default();
  app.option("--alpha", extra.alpha, "scaling is alpha / rank; default: the rank");
  app.option("--targets", config.targets, "attn+mlp, attn, or module suffixes joined by commas").show_default();
  app.option("--steps", config.steps, "optimizer updates, 100..10000").show_default();
  app.option("--lr", config.learning_rate, "learning rate, 1e-6..1e-2; default: what the base recommends");
  app.option("--schedule", config.schedule, "constant or cosine").show_default();
  app.option("--warmup-steps", config.warmup_steps, "linear warm-up").show_default();
  app.option("--batch-size", extra.batch_size, "samples of an update, 1..256; default: by denoiser");
  app.option("--condition-dropout", config.condition_dropout, "0..1").show_default();
  app.option("--ema", config.ema_decay, "decay of the weight average, 0 (off)..0.9999").show_default();
  app.option("--seed", config.seed, "of everything random").show_default();
  app.option("--holdout-view", config.holdout_views, "view number kept for validation; may be repeated");
}

void add_running(cli::App& app, CommandLine& line, Extra& extra) {
  auto& config = line.config;
  app.option("--micro-batch", config.micro_batch, "most samples of a loss call; 0: as many as fit").show_default();
  app.option("--max-tokens-per-call", config.max_tokens_per_call,
             "most latent tokens of a loss call; 0: by denoiser, or any with --micro-batch")
      .show_default();
  app.option("--gradient-checkpointing", config.gradient_checkpointing,
             "compute blocks again in the backward pass: auto, all, none or the number of first blocks")
      .show_default();
  app.option("--precision", config.precision, "of the frozen base: fp32 or bf16").show_default();
  app.option("--save-dtype", config.save_dtype, "of the adapter file: bf16, fp32 or fp16").show_default();
  app.option("--peft-folder", config.peft_folder, "also write the adapter as a PEFT folder");
  app.option("--checkpoint-dir", config.checkpoint_folder, "folder of checkpoints; none without it");
  app.option("--checkpoint-every", config.checkpoint_every, "steps").show_default();
  app.option("--keep-checkpoints", config.keep_checkpoints, "the newest ones").show_default();
  app.option("--resume", extra.resume, "auto or none").show_default();
  app.option("--validate-every", config.validate_every, "steps; 0: before and after only").show_default();
  app.option("--condition-cache", config.condition_cache_bytes, "bytes for encoded views").show_default();
  app.option("--threads", config.threads, "CPU threads; 0: the default").show_default();
  app.option("--job-id", config.job_id, "recorded in the adapter");
  app.option("--created-utc", config.created_utc, "recorded in the adapter");
  app.option("--progress-fd", line.progress_fd, "descriptor for progress events as JSON lines");
  app.option("--log-dir", config.log_folder, "write metrics.jsonl and TensorBoard events into this folder");
}

void add_group(cli::App& app, Extra& extra) {
  app.option("--world-size", extra.group.world_size, "processes that train together; all take the same arguments")
      .show_default();
  app.option("--member", extra.group.rank, "which of them this is, 0..world-size-1; 0 writes the adapter")
      .show_default();
  app.option("--rendezvous", extra.rendezvous,
             "HOST:PORT where member 0 listens; port 0 on member 0: any free one, told by the rendezvous event");
  app.option("--rendezvous-timeout", extra.rendezvous_seconds, "seconds to wait for the members to come")
      .show_default();
  app.option("--answer-timeout", extra.answer_seconds,
             "seconds of a member's silence after which it counts as lost; longer than a step or a validation")
      .show_default();
}

// Without --world-size the environment says which rank this is.
Status read_group(const cli::App& app, Extra& extra, TrainConfig& config) {
  if (!app.given("--world-size")) {
    for (const char* option : {"--member", "--rendezvous"}) {
      if (app.given(option)) return absl::InvalidArgumentError(absl::StrCat(option, " needs --world-size"));
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
  cli::App app("espalier-train", "Trains a LoRA adapter for one denoiser of a base model on a prepared dataset.");
  Extra extra;
  line.config.base = kDefaultBase;
  add_request(app, line.config, extra);
  add_running(app, line, extra);
  add_group(app, extra);
  const Status parsed = app.parse(std::vector<std::string>(argv + 1, argv + argc));
  if (absl::IsCancelled(parsed)) {
    line.help = std::string(parsed.message());
    return absl::OkStatus();
  }
  ESP_TRY(parsed);
  if (app.given("--alpha")) line.config.alpha = extra.alpha;
  if (app.given("--batch-size")) line.config.batch_size = extra.batch_size;
  line.config.base = find_base(line.config.base);
  line.config.resume = extra.resume == "auto";
  const Status group = read_group(app, extra, line.config);
  return check(line, extra, group);
}

}  // namespace espalier::train
