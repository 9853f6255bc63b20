#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "nn/lora/adapter.h"
#include "nn/lora/adapter_file.h"
#include "train/gradient_checkpointing.h"
#include "train/stage.h"
#include "train/trainer.h"

namespace espalier::train {
namespace {

// Collects faults, so that a request is refused once with all of them.
class Faults {
 public:
  template <class T>
  void one_of(const char* field, const T& value, const std::vector<T>& allowed) {
    if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return;
    add(field, absl::StrCat("'", value, "'"), absl::StrJoin(allowed, ", "));
  }
  // Written so that NaN is a fault.
  template <class T>
  void in_range(const char* field, T value, T low, T high) {
    if (!(value >= low && value <= high)) add(field, absl::StrCat(value), absl::StrCat(low, "..", high));
  }
  void required(const char* field, const std::string& value) {
    if (value.empty()) add(field, "missing", "a path");
  }
  void add(const char* field, const std::string& what, const std::string& allowed) {
    messages_.push_back(absl::StrCat(field, ": ", what, " (allowed: ", allowed, ")"));
  }
  void add(const Status& status) {
    if (!status.ok()) messages_.emplace_back(status.message());
  }
  Status status() const {
    return messages_.empty() ? absl::OkStatus() : absl::InvalidArgumentError(absl::StrJoin(messages_, "\n"));
  }

 private:
  std::vector<std::string> messages_;
};

void check_request(const TrainConfig& config, Faults& faults) {
  faults.one_of<std::string>("denoiser", config.denoiser, trainable_denoisers());
  faults.one_of("resolution", config.resolution, {512, 1024});
  faults.one_of("rank", config.rank, {16, 32, 64});
  if (config.alpha && !(*config.alpha > 0 && *config.alpha <= 1024)) {
    faults.add("alpha", absl::StrCat(*config.alpha), "above 0, at most 1024");
  }
  faults.in_range<int64_t>("steps", config.steps, 100, 10000);
  if (config.learning_rate) faults.in_range("learning_rate", *config.learning_rate, 1e-6, 1e-2);
  faults.one_of<std::string>("schedule", config.schedule, {"constant", "cosine"});
  faults.in_range<int64_t>("warmup_steps", config.warmup_steps, 0, config.steps);
  faults.in_range("condition_dropout", config.condition_dropout, 0.0, 1.0);
  faults.in_range("ema_decay", config.ema_decay, 0.0, 0.9999);
  faults.add(nn::target_suffixes(config.targets).status());
}

void check_running(const TrainConfig& config, Faults& faults) {
  if (config.batch_size) faults.in_range("batch_size", *config.batch_size, 1, 256);
  faults.in_range("micro_batch", config.micro_batch, 0, config.batch_size.value_or(256));
  faults.in_range<int64_t>("max_tokens_per_call", config.max_tokens_per_call, 0, int64_t{1} << 24);
  faults.add(check_gradient_checkpointing(config.gradient_checkpointing));
  faults.in_range<int64_t>("validate_every", config.validate_every, 0, 10000);
  faults.in_range<int64_t>("checkpoint_every", config.checkpoint_every, 1, 10000);
  faults.in_range("keep_checkpoints", config.keep_checkpoints, 1, 1000);
  faults.in_range("threads", config.threads, 0, 1024);
  faults.in_range<int64_t>("condition_cache_bytes", config.condition_cache_bytes, 0, int64_t{1} << 50);
  faults.one_of<std::string>("precision", config.precision, {"fp32", "bf16"});
  faults.add(nn::parse_save_dtype(config.save_dtype).status());
  for (const int view : config.holdout_views) faults.in_range("holdout_view", view, 0, 999);
  faults.add(validate(config.group));
}

}  // namespace

Status validate(const TrainConfig& config) {
  Faults faults;
  faults.required("dataset", config.dataset);
  faults.required("base", config.base);
  faults.required("output", config.output);
  check_request(config, faults);
  check_running(config, faults);
  return faults.status();
}

}  // namespace espalier::train
