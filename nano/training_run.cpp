#include "nano/training_run.h"

#include "absl/strings/str_cat.h"
#include "common/log.h"
#include "train/collective.h"

namespace espalier::nano {

CorpusConfig train_corpus(const Recipe& recipe) {
  return {recipe.seed, recipe.objects, recipe.views, recipe.threads, recipe.work / "train"};
}

CorpusConfig held_corpus(const Recipe& recipe) {
  return {recipe.seed + 1, recipe.held, recipe.views, recipe.threads, recipe.work / "held"};
}

train::LoopConfig loop_config(const Recipe& recipe, const std::string& stage, int64_t steps, int64_t batch) {
  train::LoopConfig config;
  config.steps = steps;
  config.batch_size = batch;
  config.seed = recipe.seed;
  config.checkpoint_folder = recipe.work / stage;
  config.checkpoint_every = 250;
  config.fingerprint = absl::StrCat("nano ", stage, " seed ", recipe.seed, " batch ", batch);
  return config;
}

Status run_stage(const std::string& stage, const train::LoopConfig& config,
                 const std::vector<train::Parameter>& parameters, size_t items, const train::LossFunction& loss,
                 train::LoopHooks hooks) {
  constexpr int64_t kLogEvery = 50;
  double sum = 0;
  int64_t count = 0;
  hooks.on_step = [&](const train::StepReport& report) {
    sum += report.loss;
    if (++count < kLogEvery && report.step != config.steps) return;
    log_info(stage, {{"step", report.step},
                     {"loss", sum / static_cast<double>(count)},
                     {"grad_norm", report.grad_norm},
                     {"seconds_per_step", report.seconds_per_step},
                     {"eta_s", report.eta_seconds}});
    sum = 0;
    count = 0;
  };
  hooks.on_warning = [&](const std::string& text) { log_warning(text, {{"stage", stage}}); };
  ESP_ASSIGN(const auto collective, train::Collective::connect({}));
  return train::run_loop(config, parameters, std::vector<int>(items, 1), loss, hooks, *collective).status();
}

}  // namespace espalier::nano
