#include "train/loop.h"

#include <torch/types.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "train/adamw.h"
#include "train/agreement.h"
#include "train/batch_plan.h"
#include "train/checkpoint.h"
#include "train/flat_parameters.h"
#include "train/grad_clipper.h"
#include "train/item_stream.h"
#include "train/torch_errors.h"
#include "train/tree_sum.h"

// An update, on all ranks together:
//
//   batch of (seed, step) -> cut into loss calls, shared out -> each rank: forward, backward of its calls
//   -> sum of the gradients on rank 0 -> rank 0: clip, AdamW, average -> parameters to all ranks
//
// What must hold:
//   - Every rank takes the same way through the collective calls, or the others wait for it in vain. So a decision that
//     leads to one must rest on what all ranks know: the settings, the step, or an answer that was itself exchanged
//     (whether any rank was asked to stop).
//   - The parameters are one flat vector, their gradients another; nobody may put another tensor in a parameter's
//     .grad. One element behind the gradient carries the loss through the same sum.
//   - Nothing random is kept from step to step: batches and noise are functions of (seed, step, slot). So a run that is
//     continued from a checkpoint makes the updates that it would have made.
//
// Reference: TRELLIS.2 trellis2/trainers/basic.py. Why the ranks agree in every bit:
// docs/decisions/0007-ranks-train-the-same-bits.md.
namespace espalier::train {
namespace {

using nlohmann::json;

json to_json(const std::optional<ValidationReport>& report) {
  if (!report) return nullptr;
  return {{"loss", report->loss}, {"times", report->times}, {"losses", report->losses}};
}

std::optional<ValidationReport> validation_from(const json& value) {
  if (!value.is_object()) return std::nullopt;
  return ValidationReport{value["loss"], value["times"], value["losses"]};
}

// Everything of the settings that decides the numbers. The length of a constant schedule is not among them: a finished
// run may be continued.
std::string full_fingerprint(const LoopConfig& config, const std::vector<int>& repeats) {
  const auto& s = config.schedule;
  int64_t epoch = 0;
  for (const int repeat : repeats) epoch += repeat;
  json settings = {{"run", config.fingerprint},
                   {"batch_size", config.batch_size},
                   {"seed", config.seed},
                   {"learning_rate", s.learning_rate},
                   {"warmup_steps", s.warmup_steps},
                   {"betas", {config.beta1, config.beta2}},
                   {"eps", config.eps},
                   {"weight_decay", config.weight_decay},
                   {"max_grad_norm", config.max_grad_norm},
                   {"clip_percentile", config.clip_percentile},
                   {"ema_decay", config.ema_decay},
                   {"items", repeats.size()},
                   {"epoch", epoch}};
  if (s.kind == Schedule::Kind::kCosine) settings["cosine"] = {s.total_steps, s.final_fraction};
  return settings.dump();
}

// Seconds per update, smoothed over about twenty of them.
class Pace {
 public:
  void tick() {
    const auto now = std::chrono::steady_clock::now();
    const double seconds = std::chrono::duration<double>(now - last_).count();
    last_ = now;
    smoothed_ = smoothed_ == 0 ? seconds : smoothed_ + 0.05 * (seconds - smoothed_);
  }
  void restart() { last_ = std::chrono::steady_clock::now(); }
  double seconds() const { return smoothed_; }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
  double smoothed_ = 0;
};

class Loop {
 public:
  Loop(const LoopConfig& config, std::vector<Parameter> parameters, const std::vector<int>& repeats,
       const LossFunction& loss, const LoopHooks& hooks, Collective& collective, std::stop_token stop)
      : config_(config),
        fingerprint_(full_fingerprint(config, repeats)),
        flat_(std::move(parameters)),
        stream_(repeats, config.seed),
        clipper_(config.max_grad_norm, config.clip_percentile),
        loss_(loss),
        hooks_(hooks),
        collective_(collective),
        stop_(std::move(stop)) {
    if (!leads()) return;
    optimizer_ = {config.beta1,
                  config.beta2,
                  config.eps,
                  config.weight_decay,
                  at::zeros_like(flat_.values()),
                  at::zeros_like(flat_.values())};
    if (config.ema_decay > 0) average_ = flat_.values().clone();
  }

  Result<LoopResult> run();

 private:
  bool leads() const { return collective_.rank() == 0; }
  Status restore();
  void load(const Checkpoint& checkpoint);
  void take_state(const json& state);
  Status check_same_run();
  json state() const;
  Status checkpoint();
  void save();
  std::vector<SampleRef> samples();
  std::vector<int64_t> tokens_of(const std::vector<SampleRef>& samples) const;
  BatchPlan plan_of(std::span<const int64_t> tokens) const;
  void accumulate_gradients();
  void update();
  StepReport lead_update();
  void show_average();
  std::optional<ValidationReport> validate(std::string_view when);

  const LoopConfig& config_;
  std::string fingerprint_;
  FlatParameters flat_;
  ItemStream stream_;
  AdaptiveGradClipper clipper_;  // these three only on rank 0
  AdamW optimizer_;
  at::Tensor average_;  // [P]; undefined when off
  const LossFunction& loss_;
  const LoopHooks& hooks_;
  Collective& collective_;
  std::stop_token stop_;
  LoopResult result_;
  Pace pace_;
  int64_t step_ = 0;  // updates done
};

json Loop::state() const {
  const auto& clipper = clipper_.state();
  return {{"step", step_},
          {"updates", optimizer_.updates},
          {"clipper", {{"pointer", clipper.pointer}, {"length", clipper.length}, {"limit", clipper.limit}}},
          {"last_loss", result_.last_loss},
          {"validation_before", to_json(result_.validation_before)}};
}

// A checkpoint is only worth having when all ranks stand behind it.
Status Loop::checkpoint() {
  if (const auto ranks = ranks_that_differ(flat_.values(), "", collective_); ranks > 0) {
    return absl::DataLossError(absl::StrCat("after step ", step_, " the parameters of ", ranks, " of ",
                                            collective_.world_size(), " ranks differ from rank 0's"));
  }
  if (leads() && !config_.checkpoint_folder.empty()) save();
  return absl::OkStatus();
}

// The flat vectors are stored by parameter name: the file stays readable when the order of parameters changes.
void Loop::save() {
  Checkpoint checkpoint{step_, fingerprint_, state(), {}};
  const auto add = [&](const char* kind, const at::Tensor& flat) {
    for (const auto& slice : flat_.slices()) {
      checkpoint.tensors.emplace(absl::StrCat(kind, ".", slice.name),
                                 flat.narrow(0, slice.offset, slice.size).view(slice.shape));
    }
  };
  add("parameter", flat_.values());
  add("exp_avg", optimizer_.exp_avg);
  add("exp_avg_sq", optimizer_.exp_avg_sq);
  if (average_.defined()) add("average", average_);
  checkpoint.tensors.emplace("clipper.norms", torch::tensor(clipper_.state().norms));
  if (hooks_.save_extra) checkpoint.state["extra"] = hooks_.save_extra();
  const auto path = save_checkpoint(config_.checkpoint_folder, checkpoint, config_.keep_checkpoints);
  if (!path.ok()) {
    if (hooks_.on_warning) {
      hooks_.on_warning(absl::StrCat("the checkpoint could not be written: ", path.status().message()));
    }
  } else if (hooks_.on_checkpoint) {
    hooks_.on_checkpoint(step_, *path);
  }
}

void Loop::load(const Checkpoint& checkpoint) {
  const auto take = [&](const char* kind, at::Tensor& flat) {
    for (const auto& slice : flat_.slices()) {
      const auto found = checkpoint.tensors.find(absl::StrCat(kind, ".", slice.name));
      TORCH_CHECK(found != checkpoint.tensors.end() && found->second.sizes() == slice.shape,
                  "the checkpoint has no fitting ", kind, " for ", slice.name);
      flat.narrow(0, slice.offset, slice.size).copy_(found->second.flatten());
    }
  };
  take("parameter", flat_.values());
  take("exp_avg", optimizer_.exp_avg);
  take("exp_avg_sq", optimizer_.exp_avg_sq);
  if (average_.defined()) take("average", average_);
  const auto norms = checkpoint.tensors.at("clipper.norms").contiguous();
  AdaptiveGradClipper::State clipper = clipper_.state();
  TORCH_CHECK(norms.numel() == static_cast<int64_t>(clipper.norms.size()), "the checkpoint's clipper does not fit");
  std::copy_n(norms.const_data_ptr<float>(), norms.numel(), clipper.norms.begin());
  clipper_.restore(std::move(clipper));
}

Status Loop::check_same_run() {
  const json settings = {fingerprint_,        config_.steps,        config_.validate_every, config_.checkpoint_every,
                         config_.micro_batch, config_.micro_tokens, config_.item_tokens};
  if (const auto ranks = ranks_that_differ(flat_.values(), settings.dump(), collective_); ranks > 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("the ranks do not train the same: the arguments, the dataset or the base of ", ranks, " of ",
                     collective_.world_size(), " differ from rank 0's. Start all ranks alike"));
  }
  return absl::OkStatus();
}

void Loop::take_state(const json& state) {
  step_ = state.at("step");
  result_.last_loss = state.at("last_loss");
  result_.validation_before = validation_from(state.at("validation_before"));
  if (!leads()) return;
  optimizer_.updates = state.at("updates");
  auto clipper = clipper_.state();
  clipper.pointer = state.at("clipper").at("pointer");
  clipper.length = state.at("clipper").at("length");
  clipper.limit = state.at("clipper").at("limit");
  clipper_.restore(std::move(clipper));
}

// Rank 0 reads, all ranks continue from what it read.
Status Loop::restore() {
  std::string text;
  Status status;
  if (leads() && config_.resume && !config_.checkpoint_folder.empty()) {
    auto checkpoint = load_newest_checkpoint(config_.checkpoint_folder, fingerprint_, [&](const std::string& warning) {
      if (hooks_.on_warning) hooks_.on_warning(warning);
    });
    status = checkpoint.status();
    if (checkpoint.ok() && checkpoint->has_value()) {
      load(**checkpoint);
      json& state = (*checkpoint)->state;
      if (hooks_.restore_extra) hooks_.restore_extra(state.value("extra", json()));
      state.erase("extra");  // rank 0's own
      text = state.dump();
    }
  }
  const auto answer =
      broadcast_text(status.ok() ? text : "!" + std::string(status.message()), collective_, flat_.values().device());
  if (answer.starts_with('!')) return absl::FailedPreconditionError(answer.substr(1));
  collective_.broadcast(flat_.values());
  if (!answer.empty()) take_state(json::parse(answer));
  result_.resumed_at = step_;
  return check_same_run();
}

// The global batch of this update.
std::vector<SampleRef> Loop::samples() {
  std::vector<SampleRef> samples;
  for (int64_t slot = 0; slot < config_.batch_size; ++slot) {
    samples.push_back({step_, slot, stream_.item(step_ * config_.batch_size + slot)});
  }
  return samples;
}

std::vector<int64_t> Loop::tokens_of(const std::vector<SampleRef>& samples) const {
  std::vector<int64_t> tokens;
  for (const auto& sample : samples) {
    tokens.push_back(config_.item_tokens.empty() ? 1 : config_.item_tokens[static_cast<size_t>(sample.item)]);
  }
  return tokens;
}

BatchPlan Loop::plan_of(std::span<const int64_t> tokens) const {
  const int64_t world = collective_.world_size();
  const int64_t micro = config_.micro_batch > 0 ? config_.micro_batch : (config_.batch_size + world - 1) / world;
  return plan_batch(tokens, micro, config_.item_tokens.empty() ? 0 : config_.micro_tokens, static_cast<int>(world));
}

void Loop::accumulate_gradients() {
  const auto batch = samples();
  const auto tokens = tokens_of(batch);
  const auto all_tokens = static_cast<double>(std::accumulate(tokens.begin(), tokens.end(), int64_t{0}));
  const auto plan = plan_of(tokens);
  auto& exchange = flat_.exchange();
  TreeSum sum(plan.owners, collective_);
  for (size_t call = 0; call < plan.calls.size(); ++call) {
    if (plan.owners[call] != collective_.rank()) continue;
    std::vector<SampleRef> part;
    int64_t part_tokens = 0;
    for (const int64_t slot : plan.calls[call]) {
      part.push_back(batch[static_cast<size_t>(slot)]);
      part_tokens += tokens[static_cast<size_t>(slot)];
    }
    flat_.zero_gradient();
    const auto loss = loss_(part) * (static_cast<double>(part_tokens) / all_tokens);
    loss.backward();
    flat_.check_gradients_in_place();
    exchange[flat_.values().numel()].fill_(loss.item<double>());
    sum.add(static_cast<int64_t>(call), exchange);
  }
  sum.reduce(exchange);
}

// Rank 0 alone clips, decides whether the gradient is usable and makes the update; all take over its parameters. So
// ranks on different machines cannot drift apart by the rounding of their own arithmetic.
void Loop::update() {
  accumulate_gradients();
  at::NoGradGuard no_grad;
  ++step_;
  if (leads()) {
    const auto report = lead_update();
    if (hooks_.on_step) hooks_.on_step(report);
  }
  collective_.broadcast(flat_.values());
}

StepReport Loop::lead_update() {
  auto& gradient = flat_.gradient();
  StepReport report;
  report.loss = flat_.exchange()[gradient.numel()].item<double>();
  report.grad_norm = clipper_.clip_(gradient);
  report.learning_rate = config_.schedule.rate(step_ - 1);
  report.skipped = !torch::isfinite(gradient).all().item<bool>();
  if (!report.skipped) optimizer_.step_(flat_.values(), gradient, report.learning_rate);
  if (average_.defined()) {
    const auto n = static_cast<double>(step_);
    update_average_(average_, flat_.values(), std::min(config_.ema_decay, (1 + n) / (10 + n)));
  }
  pace_.tick();
  report.step = step_;
  report.seconds_per_step = pace_.seconds();
  report.eta_seconds = pace_.seconds() * static_cast<double>(config_.steps - step_);
  result_.last_loss = report.loss;
  return report;
}

// Puts the averaged weights, where there is an average, into the parameters of all ranks.
void Loop::show_average() {
  if (config_.ema_decay == 0) return;
  if (leads()) flat_.values().copy_(average_);
  collective_.broadcast(flat_.values());
}

std::optional<ValidationReport> Loop::validate(std::string_view when) {
  if (!hooks_.validate) return std::nullopt;
  at::NoGradGuard no_grad;
  const auto trained = flat_.values().clone();
  show_average();
  const auto report = hooks_.validate();
  flat_.values().copy_(trained);
  if (leads() && hooks_.on_validation) hooks_.on_validation(when, step_, report);
  pace_.restart();
  return report;
}

Result<LoopResult> Loop::run() {
  ESP_TRY(restore());
  if (hooks_.on_start) hooks_.on_start(step_);
  if (!result_.validation_before) result_.validation_before = validate("before");
  pace_.restart();
  while (step_ < config_.steps) {
    update();
    const bool stopped = ranks_where(stop_.stop_requested(), collective_, flat_.values().device()) > 0;
    const bool last = step_ >= config_.steps;
    if (stopped || last || step_ % config_.checkpoint_every == 0) ESP_TRY(checkpoint());
    if (stopped && !last) return absl::CancelledError(absl::StrCat("stopped after step ", step_));
    if (!last && config_.validate_every > 0 && step_ % config_.validate_every == 0) validate("during");
  }
  result_.validation_after = validate("after");
  at::NoGradGuard no_grad;
  show_average();
  result_.steps = step_;
  return result_;
}

Status check(const LoopConfig& config, size_t items) {
  if (config.steps < 1 || config.batch_size < 1 || config.checkpoint_every < 1 || config.micro_batch < 0 ||
      config.micro_tokens < 0) {
    return absl::InvalidArgumentError(
        "steps, batch_size and checkpoint_every must be at least 1, micro_batch and micro_tokens at least 0");
  }
  const auto& tokens = config.item_tokens;
  if (!tokens.empty() && (tokens.size() != items || *std::min_element(tokens.begin(), tokens.end()) < 1)) {
    return absl::InvalidArgumentError("item_tokens must have an entry of at least 1 for each item, or none");
  }
  return absl::OkStatus();
}

}  // namespace

Result<LoopResult> run_loop(const LoopConfig& config, std::vector<Parameter> parameters,
                            const std::vector<int>& repeats, const LossFunction& loss, const LoopHooks& hooks,
                            Collective& collective, std::stop_token stop) {
  ESP_TRY(check(config, repeats.size()));
  return catch_torch([&]() -> Result<LoopResult> {
    return Loop(config, std::move(parameters), repeats, loss, hooks, collective, std::move(stop)).run();
  });
}

}  // namespace espalier::train
