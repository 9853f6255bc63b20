#include <torch/types.h>

#include <cmath>
#include <limits>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/files.h"
#include "image/condition_image.h"
#include "nn/io/safetensors.h"
#include "nn/lora/adapter.h"
#include "nn/lora/adapter_file.h"
#include "nn/networks/slat_flow.h"
#include "nn/networks/ss_flow.h"
#include "nn/sparse/sparse_tensor.h"
#include "tests/golden/golden.h"
#include "train/adamw.h"
#include "train/batch_plan.h"
#include "train/denoiser.h"
#include "train/flat_parameters.h"
#include "train/flow_loss.h"
#include "train/grad_clipper.h"

namespace espalier::golden {
namespace {

using nlohmann::json;
using nn::TensorMap;

Result<TensorMap> load(const Case& c, const std::string& file) {
  ESP_ASSIGN(const auto opened, nn::SafetensorsFile::open(c.folder / file));
  return opened.tensors();
}

// The denoiser of a case with its weights.
struct Network {
  TensorMap weights;
  std::unique_ptr<train::Denoiser> denoiser;
};

Result<Network> load_network(const Case& c) {
  ESP_ASSIGN(const auto config, nn::FlowConfig::parse(c.description.at("model")));
  ESP_ASSIGN(const auto base, load(c, "base.safetensors"));
  Network network{nn::detach_copy(base), nullptr};
  if (c.description.at("stage") == "sparse_structure") {
    ESP_ASSIGN(auto flow, nn::SparseStructureFlow::create(config, network.weights));
    network.denoiser = train::make_denoiser(std::move(flow));
  } else {
    ESP_ASSIGN(auto flow, nn::SLatFlow::create(config, network.weights));
    network.denoiser = train::make_denoiser(std::move(flow));
  }
  return network;
}

train::FlowTask flow_task(const train::Denoiser& denoiser, double sigma_min) {
  train::FlowTask task;
  task.predict = [&denoiser](const auto& samples, const auto& x, const auto& t, const auto& condition) {
    return denoiser.predict(samples, x, t, condition);
  };
  task.sigma_min = sigma_min;
  return task;
}

// The inputs of one micro-batch with its recorded random draws.
struct MicroBatch {
  train::FlowSamples samples;
  train::FlowDraws draws;
  at::Tensor cond;

  static MicroBatch of(const TensorMap& inputs, int step, int index, double p_uncond) {
    const auto get = [&](const std::string& name) { return named(inputs, name); };
    const auto get_if_there = [&](const std::string& name) { return inputs.contains(name) ? get(name) : at::Tensor(); };
    const auto data = absl::StrCat("mb", index, "."), drawn = absl::StrCat("step", step, ".mb", index, ".");
    MicroBatch batch{train::dense_samples(get(data + "x0")),
                     {get(drawn + "noise"), get(drawn + "t"), get(drawn + "drop_u") < p_uncond},
                     get(data + "cond")};
    if (const auto coords = get_if_there(data + "coords"); coords.defined()) {
      const auto sparse = nn::SparseTensor::create(batch.samples.x0, coords, batch.draws.t.size(0));
      TORCH_CHECK(sparse.ok(), std::string(sparse.status().message()));
      batch.samples = {sparse->feats, sparse->offsets, sparse->coords, get_if_there(data + "concat_cond")};
    }
    return batch;
  }
  at::Tensor used_cond() const { return train::drop_condition(cond, draws.drop); }
};

Status run_loss(const Case& c, Report& report) {
  ESP_ASSIGN(auto network, load_network(c));
  ESP_ASSIGN(const auto inputs, load(c, "inputs.safetensors"));
  ESP_ASSIGN(const auto expected, load(c, "expected.safetensors"));
  const double forward_abs = c.description.at("tolerance").at("forward_abs");
  const double gradient_rel = c.description.at("tolerance").at("grad_rel_to_max");
  auto task = flow_task(*network.denoiser, c.description.at("sigma_min"));
  const auto batch = MicroBatch::of(inputs, 0, 0, c.description.at("p_uncond"));
  const auto target = train::flow_target(batch.samples.x0, batch.draws.noise, task.sigma_min);
  task.predict = [&, predict = task.predict](const auto& samples, const auto& x, const auto& t, const auto& cond) {
    report.compare("x_t", x, named(expected, "x_t"), forward_abs, 0);
    report.compare("t_model", t, named(expected, "t_model"), 1e-3, 0);
    report.compare("cond_used", cond, named(expected, "cond_used"), 0, 0);
    const auto prediction = predict(samples, x, t, cond);
    report.compare("pred", prediction.detach(), named(expected, "pred"), forward_abs, 0);
    return prediction;
  };

  nn::require_gradients(network.weights);
  const auto loss = train::flow_loss(task, batch.samples, batch.draws, batch.used_cond());
  loss.backward();

  report.compare("target", target, named(expected, "target"), forward_abs, 0);
  report.compare("loss", loss.item<double>(), c.description.at("loss").get<double>(), forward_abs);
  double square = 0;
  for (const auto& [name, parameter] : network.weights) {
    const auto gradient = parameter.grad().defined() ? parameter.grad() : at::zeros_like(parameter);
    square += gradient.to(torch::kFloat64).square().sum().item<double>();
    const auto want = expected.find("grad." + name);
    if (want == expected.end()) continue;
    report.compare(want->first, gradient, want->second, gradient_rel * want->second.abs().max().item<double>(), 0);
  }
  const double norm = named(expected, "grad_norm_all").item<double>();
  report.compare("grad_norm_all", std::sqrt(square), norm, 0, gradient_rel);
  return absl::OkStatus();
}

constexpr std::string_view kPrefix = "base_model.model.";

// Flat vectors of the optimizer and the average, seen under the adapter's names.
at::Tensor slice_of(const at::Tensor& flat, const train::FlatParameters::Slice& slice) {
  return flat.narrow(0, slice.offset, slice.size).view(slice.shape);
}

// Replays the recorded steps of a LoRA training with our optimizer.
class LoraReplay {
 public:
  LoraReplay(const Case& c, Network network, nn::LoraAdapter adapter, TensorMap inputs)
      : description_(c.description),
        tolerance_(c.description.at("tolerance")),
        network_(std::move(network)),
        task_(flow_task(*network_.denoiser, c.description.at("sigma_min"))),
        adapter_(std::move(adapter)),
        inputs_(std::move(inputs)),
        flat_(parameters()),
        average_(flat_.values().clone()) {
    const auto& optimizer = c.description.at("optimizer");
    optimizer_ = {optimizer.at("betas").at(0),  optimizer.at("betas").at(1), optimizer.at("eps"),
                  optimizer.at("weight_decay"), at::zeros_like(average_),    at::zeros_like(average_)};
  }

  // The network's output on x_t of the first micro-batch, condition not dropped.
  Result<at::Tensor> output(std::optional<double> scale) {
    at::NoGradGuard no_grad;
    nn::AdapterScope scope;
    if (scale) {
      ESP_ASSIGN(scope, nn::AdapterScope::attach(adapter_, network_.denoiser->lora_targets(), *scale));
    }
    const auto batch = micro_batch(0, 0);
    return train::flow_velocity(task_, batch.samples, batch.draws, batch.cond);
  }

  Status train(Report& report, const TensorMap& after_first_step) {
    ESP_ASSIGN(const auto scope, nn::AdapterScope::attach(adapter_, network_.denoiser->lora_targets()));
    train::AdaptiveGradClipper clipper(description_.at("grad_clip_max_norm"));
    const int steps = description_.at("steps"), micro_batches = description_.at("micro_batches");
    const double rate = description_.at("optimizer").at("lr");
    for (int step = 0; step < steps; ++step) {
      flat_.zero_gradient();
      double total = 0;
      for (int i = 0; i < micro_batches; ++i) {
        const auto batch = micro_batch(step, i);
        const auto loss = train::flow_loss(task_, batch.samples, batch.draws, batch.used_cond()) / micro_batches;
        loss.backward();
        total += loss.item<double>();
      }
      at::NoGradGuard no_grad;
      const double norm = clipper.clip_(flat_.gradient());
      optimizer_.step_(flat_.values(), flat_.gradient(), rate);
      train::update_average_(average_, flat_.values(), description_.at("ema_rate"));
      const auto& log = description_.at("log").at(static_cast<size_t>(step));
      report.compare(absl::StrCat("loss of step ", step), total, log.at("loss"), tolerance_.at("loss_abs"));
      report.compare(absl::StrCat("grad_norm of step ", step), norm, log.at("grad_norm"), 0,
                     tolerance_.at("grad_norm_rel"));
      if (step == 0) {
        compare(report, "step1", flat_.values(), after_first_step, tolerance_.at("adapter_step1_abs"), kAnyMean);
      }
    }
    return absl::OkStatus();
  }

  void compare_final(Report& report, const TensorMap& adapter, const TensorMap& average, const TensorMap& moments) {
    const double mean = tolerance_.at("adapter_final_mean_abs_per_tensor");
    compare(report, "final", flat_.values(), adapter, tolerance_.at("adapter_final_abs"), mean);
    compare(report, "ema", average_, average, tolerance_.at("adapter_final_abs"), mean);
    for (const auto& slice : flat_.slices()) {
      for (const auto& [kind, flat] :
           {std::pair{"exp_avg", optimizer_.exp_avg}, {"exp_avg_sq", optimizer_.exp_avg_sq}}) {
        const auto name = absl::StrCat(std::string(kPrefix), slice.name, ".", kind);
        const auto want = find_moment(moments, slice.name, kind);
        if (!want.defined()) {
          report.fail(name + " is missing in moments.safetensors");
        } else {
          report.compare(name, slice_of(flat, slice), want, tolerance_.at(absl::StrCat(kind, "_abs")), 0);
        }
      }
    }
  }

  void compare_merged(Report& report, const TensorMap& merged) {
    const auto targets = network_.denoiser->lora_targets();
    for (const auto& [name, want] : merged) {
      const auto module = name.substr(0, name.size() - std::string_view(".weight").size());
      const auto pair = adapter_.modules.find(module);
      const auto target = targets.find(module);
      if (target == targets.end()) {
        report.fail(name + ": no such module");
        continue;
      }
      const auto& weight = target->second->weight;
      const auto got = pair == adapter_.modules.end() ? weight : nn::merged_weight(weight, pair->second);
      report.compare("merged " + name, got.detach(), want, tolerance_.at("adapter_final_abs"), 0);
    }
  }

  // The output with the adapter folded into the weights, which are put back afterwards.
  Result<at::Tensor> merged_output() {
    at::NoGradGuard no_grad;
    std::vector<std::pair<nn::Linear*, at::Tensor>> pristine;
    auto targets = network_.denoiser->lora_targets();
    for (const auto& [module, pair] : adapter_.modules) {
      auto* layer = targets.at(module);
      pristine.emplace_back(layer, layer->weight);
      layer->weight = nn::merged_weight(layer->weight, pair);
    }
    auto result = output(std::nullopt);
    for (auto& [layer, weight] : pristine) layer->weight = weight;
    return result;
  }

 private:
  static constexpr double kAnyMean = std::numeric_limits<double>::max();

  std::vector<train::Parameter> parameters() const {
    std::vector<train::Parameter> list;
    for (auto& [name, tensor] : adapter_.named_tensors()) list.push_back({name, tensor});
    return list;
  }
  MicroBatch micro_batch(int step, int index) const {
    return MicroBatch::of(inputs_, step, index, description_.at("p_uncond"));
  }
  void compare(Report& report, const std::string& what, const at::Tensor& flat, const TensorMap& want, double max_abs,
               double mean_abs) {
    for (const auto& slice : flat_.slices()) {
      const auto found = want.find(absl::StrCat(std::string(kPrefix), slice.name));
      if (found == want.end()) {
        report.fail(absl::StrCat(what, " has no ", slice.name));
      } else {
        report.compare_max_and_mean(absl::StrCat(what, " ", slice.name), slice_of(flat, slice), found->second, max_abs,
                                    mean_abs);
      }
    }
  }
  // Moments are keyed "<kind>.<parameter>" or "<parameter>.<kind>", with or without the PEFT prefix.
  static at::Tensor find_moment(const TensorMap& moments, const std::string& name, const std::string& kind) {
    for (const auto& parameter : {absl::StrCat(std::string(kPrefix), name), name}) {
      for (const auto& key : {absl::StrCat(kind, ".", parameter), absl::StrCat(parameter, ".", kind)}) {
        if (const auto found = moments.find(key); found != moments.end()) return found->second;
      }
    }
    return {};
  }

  const json& description_;
  const json& tolerance_;
  Network network_;
  train::FlowTask task_;
  nn::LoraAdapter adapter_;
  TensorMap inputs_;
  train::FlatParameters flat_;
  at::Tensor average_;
  train::AdamW optimizer_;
};

Status run_lora(const Case& c, Report& report) {
  ESP_ASSIGN(auto network, load_network(c));
  ESP_ASSIGN(auto file, nn::read_adapter(c.folder, network.denoiser->lora_targets()));
  ESP_ASSIGN(auto inputs, load(c, "inputs.safetensors"));
  ESP_ASSIGN(const auto expected, load(c, "expected.safetensors"));
  ESP_ASSIGN(const auto step1, load(c, "step1_adapter.safetensors"));
  ESP_ASSIGN(const auto final_adapter, load(c, "final_adapter.safetensors"));
  ESP_ASSIGN(const auto average, load(c, "ema_adapter.safetensors"));
  ESP_ASSIGN(const auto moments, load(c, "moments.safetensors"));
  ESP_ASSIGN(const auto merged, load(c, "merged_block0.safetensors"));
  const auto& tolerance = c.description.at("tolerance");
  report.compare("scaling", file.adapter.config.scaling(), c.description.at("lora").at("scaling"), 1e-12);

  LoraReplay replay(c, std::move(network), std::move(file.adapter), std::move(inputs));
  const auto compare_output = [&](const char* name, const Result<at::Tensor>& got, const char* limit) {
    if (!got.ok()) return report.fail(absl::StrCat(name, ": ", got.status().message()));
    report.compare(name, *got, named(expected, name), tolerance.at(limit), 0);
  };
  compare_output("out.base", replay.output(std::nullopt), "forward_abs");
  compare_output("out.init_adapter", replay.output(1), "forward_abs");
  ESP_TRY(replay.train(report, step1));
  replay.compare_final(report, final_adapter, average, moments);
  replay.compare_merged(report, merged);
  compare_output("out.final_adapter", replay.output(1), "final_out_abs");
  for (const double scale : {0.0, 0.5, 2.0}) {
    const auto name = absl::StrCat("out.final_scale_", scale == 0.5 ? "0.5" : scale == 0 ? "0.0" : "2.0");
    compare_output(name.c_str(), replay.output(scale), "final_out_abs");
  }
  compare_output("out.merged", replay.merged_output(), "final_out_abs");
  return absl::OkStatus();
}

// JSON has no infinity: the reference wrote it as Infinity, "inf" or null.
double number(const json& value) {
  if (value.is_number()) return value.get<double>();
  const bool negative = value.is_string() && value.get<std::string>().starts_with('-');
  const bool nan = value.is_string() && value.get<std::string>().find("an") != std::string::npos;
  const auto infinity = std::numeric_limits<double>::infinity();
  return nan ? std::nan("") : negative ? -infinity : infinity;
}

void compare_norm(Report& report, const std::string& what, double got, const json& want) {
  if (want.is_number()) return report.compare(what, got, want.get<double>(), 1e-6, 1e-5);
  report.expect(what + " is not finite", !std::isfinite(got));
}

Status run_clip(const Case& c, Report& report) {
  const auto& d = c.description;
  train::AdaptiveGradClipper clipper(d.at("max_norm"), d.at("clip_percentile"), d.at("buffer_size"));
  int row_index = 0;
  for (const auto& row : d.at("rows")) {
    const auto name = absl::StrCat("row ", row_index++, " ");
    std::vector<float> values;
    for (const auto& gradient : row.at("grads")) {
      for (const auto& value : gradient) values.push_back(static_cast<float>(number(value)));
    }
    auto gradient = torch::tensor(values);
    compare_norm(report, name + "max_norm_used", clipper.limit(), row.at("max_norm_used"));
    compare_norm(report, name + "returned_norm", clipper.clip_(gradient), row.at("returned_norm"));
    compare_norm(report, name + "max_norm_after", clipper.limit(), row.at("max_norm_after"));
    compare_norm(report, name + "norm_after_clip", gradient.norm().item<double>(), row.at("norm_after_clip"));
  }
  return absl::OkStatus();
}

Status run_condition_image(const Case& c, Report& report) {
  ESP_ASSIGN(const auto inputs, load(c, "inputs.safetensors"));
  ESP_ASSIGN(const auto expected, load(c, "expected.safetensors"));
  const auto& tolerance = c.description.at("tolerance");
  int index = 0;
  for (const auto& item : c.description.at("items")) {
    const auto rgba = named(inputs, absl::StrCat("rgba", index)).contiguous();  // [H, W, 4] uint8
    const auto& want = named(expected, absl::StrCat("cond", index));
    const auto* bytes = rgba.const_data_ptr<uint8_t>();
    const image::Image picture{
        static_cast<int>(rgba.size(1)), static_cast<int>(rgba.size(0)), 4, {bytes, bytes + rgba.numel()}};
    const int size = item.at("image_size");
    ESP_ASSIGN(const auto planes, image::training_condition_image(picture, size));
    report.compare_max_and_mean(absl::StrCat("cond", index), torch::tensor(planes).view({3, size, size}), want,
                                tolerance.at("abs"), tolerance.at("mean_abs"));
    ++index;
  }
  return absl::OkStatus();
}

// The members a rank gets of each global batch, which the reference takes from an epoch's permutation padded with its
// own head. (Our order of samples is another one, on purpose: train/item_stream.h.)
std::vector<int64_t> balanced_share(const json& d, std::vector<int64_t> order, size_t rank) {
  const size_t world = d.at("world_size"), per_rank = d.at("batch_size_per_gpu"), batch = world * per_rank;
  const auto loads = d.at("loads").get<std::vector<int64_t>>();
  for (size_t i = 0; order.size() % world != 0; ++i) order.push_back(order[i]);
  std::vector<int64_t> share;
  for (size_t begin = 0; begin + batch <= order.size(); begin += batch) {
    std::vector<int64_t> batch_loads;
    for (size_t i = begin; i < begin + batch; ++i) batch_loads.push_back(loads[static_cast<size_t>(order[i])]);
    const auto groups =
        train::balanced_groups(batch_loads, static_cast<int64_t>(world), static_cast<int64_t>(per_rank));
    for (const int64_t i : groups[rank]) share.push_back(order[begin + static_cast<size_t>(i)]);
  }
  return share;
}

Status run_samplers(const Case& c, Report& report) {
  const auto& d = c.description;
  for (const auto& sequence : d.at("sequences")) {
    const int epoch = sequence.at("epoch"), rank = sequence.at("rank");
    const auto order = d.at("randperm_per_epoch").at(static_cast<size_t>(epoch)).get<std::vector<int64_t>>();
    report.expect(absl::StrCat("epoch ", epoch, ", rank ", rank),
                  balanced_share(d, order, static_cast<size_t>(rank)) == sequence.at("balanced"));
  }
  int index = 0;
  for (const auto& split : d.at("collate_splits")) {
    const auto loads = split.at("loads").get<std::vector<int64_t>>();
    const int64_t count = split.at("split"), all = static_cast<int64_t>(loads.size());
    report.expect(absl::StrCat("split ", index), train::balanced_groups(loads, count, all) == split.at("groups"));
    report.expect(absl::StrCat("split ", index++, " of equal size"),
                  train::balanced_groups(loads, count, all / count) == split.at("equal_size"));
  }
  return absl::OkStatus();
}

Status dispatch(const Case& c, Report& report) {
  const auto kind = c.description.value("kind", "");
  if (kind == "flow_loss") return run_loss(c, report);
  if (kind == "lora") return run_lora(c, report);
  if (kind == "grad_clipper") return run_clip(c, report);
  if (kind == "condition_image") return run_condition_image(c, report);
  if (kind == "samplers") return run_samplers(c, report);
  if (kind == "prepared_dataset") return run_prepared_dataset_case(c, report);
  return absl::UnimplementedError("this kind of case is not built yet");
}

}  // namespace

Status run_train_case(const Case& c, Report& report) {
  try {
    return dispatch(c, report);
  } catch (const std::exception& error) {
    return absl::InternalError(error.what());
  }
}

}  // namespace espalier::golden
