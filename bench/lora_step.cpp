// One optimizer step of LoRA on a mid-size dense denoiser: forward, backward, clip, AdamW.
//
//   bench_lora_step --folder DIR     writes DIR/{config.json, base.safetensors, inputs.safetensors, adapter/}, prints
//                                    "ready", and then for each line "N" on its input trains N steps and prints
//                                    {"steps", "seconds", "cpu_seconds", "loss", "peak_rss_mib"}. At the end of the
//                                    input it writes the trained adapter (trained.safetensors, trained/) and the
//                                    network's output with it (expected.safetensors). The files let another
//                                    implementation run beside it (scripts/bench-lora-step, scripts/peft_check).

#include <ATen/Parallel.h>
#include <torch/types.h>

#include <chrono>
#include <ctime>
#include <iostream>
#include <nlohmann/json.hpp>

#include "bench/support.h"
#include "cli/app.h"
#include "common/files.h"
#include "common/heap.h"
#include "nn/io/safetensors.h"
#include "nn/lora/adapter_file.h"
#include "nn/networks/ss_flow.h"
#include "train/loop.h"

namespace espalier {
namespace {

using Clock = std::chrono::steady_clock;
using nlohmann::json;

struct Size {
  int64_t width = 512, blocks = 8, heads = 8, resolution = 8, condition_tokens = 256, batch = 8, rank = 32;
  int threads = 2;
  std::string folder;
};

json config_of(const Size& size) {
  return {{"resolution", size.resolution},
          {"in_channels", 8},
          {"out_channels", 8},
          {"model_channels", size.width},
          {"cond_channels", 512},
          {"num_blocks", size.blocks},
          {"num_heads", size.heads},
          {"mlp_ratio", 5.3334},
          {"pe_mode", "rope"},
          {"share_mod", true},
          {"qk_rms_norm", true},
          {"qk_rms_norm_cross", true}};
}

nn::TensorMap random_weights(const nn::FlowConfig& config) {
  nn::TensorMap weights;
  uint32_t stream = 100;
  for (const auto& spec : nn::SparseStructureFlow::parameter_specs(config)) {
    const bool gain = spec.name.ends_with(".gamma") || spec.name.ends_with("norm2.weight");
    auto value = bench::random_tensor(spec.shape, 0.02, stream++);
    weights[spec.name] = gain ? value + 1 : value;
  }
  return weights;
}

// Waits for the next "N" and answers when N more steps are done.
class Console {
 public:
  bool next() {
    done_ = 0;
    const bool more = static_cast<bool>(std::cin >> wanted_);
    start_ = Clock::now();
    cpu_start_ = std::clock();
    return more;
  }
  // True when the input ended.
  bool count(double loss) {
    if (++done_ < wanted_) return false;
    const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
    const double cpu = static_cast<double>(std::clock() - cpu_start_) / CLOCKS_PER_SEC;
    const json answer = {{"steps", done_},
                         {"seconds", seconds},
                         {"cpu_seconds", cpu},
                         {"loss", loss},
                         {"peak_rss_mib", bench::peak_rss_mib()}};
    std::cout << answer.dump() << std::endl;
    return !next();
  }

 private:
  int64_t wanted_ = 0, done_ = 0;
  Clock::time_point start_;
  std::clock_t cpu_start_ = 0;
};

Status run(const Size& size) {
  const std::filesystem::path folder = size.folder;
  const auto config_json = config_of(size);
  ESP_ASSIGN(const auto config, nn::FlowConfig::parse(config_json));
  ESP_ASSIGN(const auto flow, nn::SparseStructureFlow::create(config, random_weights(config)));
  const auto r = size.resolution;
  const auto x = bench::random_tensor({size.batch, 8, r, r, r}, 1, 1),
             target = bench::random_tensor({size.batch, 8, r, r, r}, 1, 2);
  const auto cond = bench::random_tensor({size.batch, size.condition_tokens, 512}, 1, 3);
  const auto t = torch::linspace(100, 900, size.batch);
  auto targets = flow->lora_targets();
  nn::LoraConfig lora{size.rank, static_cast<double>(size.rank), false, {}};
  ESP_ASSIGN(lora.target_suffixes, nn::target_suffixes("attn+mlp"));
  ESP_ASSIGN(const auto adapter, nn::make_adapter(targets, lora, 0));

  ESP_TRY(write_file_atomic(folder / "config.json", config_json.dump()));
  ESP_TRY(nn::write_safetensors(folder / "base.safetensors", flow->parameters()));
  ESP_TRY(
      nn::write_safetensors(folder / "inputs.safetensors", {{"x", x}, {"target", target}, {"cond", cond}, {"t", t}}));
  ESP_TRY(nn::write_peft_folder(folder / "adapter", adapter, {}, nn::SaveDtype::kFloat32));
  std::cout << "ready" << std::endl;

  ESP_ASSIGN(const auto scope, nn::AdapterScope::attach(adapter, targets));
  ESP_ASSIGN(const auto alone, train::Collective::connect({}));
  std::vector<train::Parameter> parameters;
  for (auto& [name, tensor] : adapter.named_tensors()) parameters.push_back({name, tensor});
  train::LoopConfig loop;
  loop.steps = int64_t{1} << 40;
  loop.batch_size = size.batch;
  loop.schedule.learning_rate = 1e-3;
  std::stop_source stop;
  Console console;
  train::LoopHooks hooks;
  hooks.on_step = [&](const train::StepReport& step) {
    if (console.count(step.loss)) stop.request_stop();
  };
  if (!console.next()) return absl::OkStatus();
  const auto loss = [&](std::span<const train::SampleRef>) { return at::mse_loss(flow->forward(x, t, cond), target); };
  const auto result = train::run_loop(loop, parameters, {1}, loss, hooks, *alone, stop.get_token());
  if (!absl::IsCancelled(result.status())) return result.status();
  at::NoGradGuard no_grad;
  ESP_TRY(nn::write_adapter(folder / "trained.safetensors", adapter, {}, nn::SaveDtype::kFloat32));
  ESP_TRY(nn::write_peft_folder(folder / "trained", adapter, {}, nn::SaveDtype::kFloat32));
  return nn::write_safetensors(folder / "expected.safetensors", {{"y", flow->forward(x, t, cond)}});
}

}  // namespace
}  // namespace espalier

int main(int argc, char** argv) {
  espalier::keep_freed_memory();  // as espalier-train does
  espalier::Size size;
  espalier::cli::App app("bench_lora_step", "One LoRA optimizer step of a dense denoiser.");
  app.option("--folder", size.folder, "where weights and inputs are written").required();
  app.option("--width", size.width).show_default();
  app.option("--blocks", size.blocks).show_default();
  app.option("--heads", size.heads).show_default();
  app.option("--resolution", size.resolution, "tokens are its cube").show_default();
  app.option("--condition-tokens", size.condition_tokens).show_default();
  app.option("--batch", size.batch).show_default();
  app.option("--rank", size.rank).show_default();
  app.option("--threads", size.threads).show_default();
  if (const auto done = app.parse(argc, argv)) return *done;
  at::set_num_threads(size.threads);
  const auto status = espalier::run(size);
  if (!status.ok()) std::cerr << status << "\n";
  return status.ok() ? 0 : 1;
}
