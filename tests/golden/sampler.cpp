#include <torch/types.h>

#include <bit>
#include <cstdlib>
#include <map>

#include "infer/cascade.h"
#include "infer/samplers/flow_euler.h"
#include "infer/samplers/time_grid.h"
#include "nn/io/safetensors.h"
#include "nn/networks/ss_flow.h"
#include "nn/networks/ss_vae.h"
#include "tests/golden/golden.h"
#include "tests/golden/pipeline.h"

// Samplers and the integer stages between them, against the reference's own runs.
namespace espalier::golden {
namespace {

using infer::Conditioning;
using nlohmann::json;

constexpr double kDenseTolerance = 1e-6;
constexpr double kRelativeTolerance = 1e-6;  // one float32 rounding of values near 8 is already 1e-6
constexpr double kSparseTolerance = 1e-3;    // the two-moment spread cancels: two float32 evaluations differ by 2.5e-4
constexpr double kNetworkTolerance = 1e-4;   // twelve guided steps amplify the order of sums

double hex(const json& text) { return std::strtod(text.get<std::string>().c_str(), nullptr); }

Result<nn::TensorMap> load(const Case& c, const std::string& name) {
  ESP_ASSIGN(const auto file, nn::SafetensorsFile::open(c.folder / name));
  return file.tensors();
}

infer::SamplerParams params_of(const json& description) {
  const json& given = description.at("params");
  const std::string sampler = description.at("sampler");
  infer::SamplerParams params;
  params.sigma_min = description.at("sigma_min");
  params.steps = given.value("steps", 50);
  params.rescale_t = given.value("rescale_t", 1.0);
  if (sampler == "FlowEulerSampler") return params;
  params.guidance_strength = given.value("guidance_strength", 3.0);
  params.guidance_rescale = given.value("guidance_rescale", 0.0);
  if (sampler == "FlowEulerGuidanceIntervalSampler" && given.contains("guidance_interval")) {
    params.interval_start = given["guidance_interval"][0];
    params.interval_end = given["guidance_interval"][1];
  }
  return params;
}

void compare_t_pairs(const json& pairs, const infer::SamplerParams& params, Report& report) {
  const auto grid = infer::time_grid(params.steps, params.rescale_t);
  report.expect("number of steps", grid.size() == pairs.size());
  for (size_t i = 0; i < std::min(grid.size(), pairs.size()); ++i) {
    report.compare("t", grid[i].t, hex(pairs[i][0]), 0);
    report.compare("t_prev", grid[i].t_prev, hex(pairs[i][1]), 0);
  }
}

Status run_time_grid(const Case& c, Report& report) {
  for (const json& want : c.description.at("grids")) {
    const auto grid = infer::time_grid(want.at("steps"), want.at("rescale_t"));
    report.expect("number of steps", grid.size() == want.at("t").size());
    for (size_t i = 0; i < std::min(grid.size(), want["t"].size()); ++i) {
      report.compare("t", grid[i].t, hex(want["t"][i]), 0);
      report.compare("t_prev", grid[i].t_prev, hex(want["t_prev"][i]), 0);
      report.expect("float32 time", std::bit_cast<uint32_t>(infer::network_time(grid[i].t)) ==
                                        want.at("t1000_f32_bits")[i].get<uint32_t>());
    }
    for (const auto& [interval, active] : want.at("cfg_active").items()) {
      infer::SamplerParams params{.steps = want["steps"], .rescale_t = want["rescale_t"], .guidance_strength = 2};
      params.interval_start = std::stod(interval);
      params.interval_end = std::stod(interval.substr(interval.find(',') + 1));
      int guided = 0;
      for (const json& on : active) guided += on.get<bool>();
      report.compare("evaluations in [" + interval + "]", infer::evaluations(params), params.steps + guided, 0);
    }
  }
  return absl::OkStatus();
}

// Runs the sampler, comparing the network calls, the kept states and the result.
Status replay(const Case& c, const nn::TensorMap& tensors, const infer::Predict& network,
              const std::vector<int64_t>& lengths, double tolerance, Report& report) {
  const json& d = c.description;
  const infer::SamplerParams params = params_of(d);
  compare_t_pairs(d.at("t_pairs"), params, report);
  json calls = json::array();
  const infer::Predict recorded = [&](const at::Tensor& x, float t, Conditioning conditioning) {
    calls.push_back({t, conditioning == Conditioning::kImage});
    return network(x, t, conditioning);
  };
  std::map<int, int64_t> row_of_step;
  for (int64_t row = 0; row < named(tensors, "pred_x_t").size(0); ++row) {
    row_of_step[d.contains("kept_steps") ? d["kept_steps"][row].get<int>() : static_cast<int>(row)] = row;
  }
  infer::SamplerHooks hooks;
  hooks.trace = [&](int step, const at::Tensor& x, const at::Tensor& x0) {
    const auto kept = row_of_step.find(step);
    if (kept == row_of_step.end()) return;
    report.compare("x_t", x, named(tensors, "pred_x_t")[kept->second], tolerance, kRelativeTolerance);
    report.compare("x_0", x0, named(tensors, "pred_x_0")[kept->second], tolerance, kRelativeTolerance);
  };
  ESP_ASSIGN(const at::Tensor got, infer::sample(recorded, named(tensors, "noise"), params, lengths, hooks));
  report.compare("samples", got, named(tensors, "samples"), tolerance, kRelativeTolerance);
  if (d.contains("model_calls")) report.expect("network calls", calls == d["model_calls"]);
  report.compare("evaluations", infer::evaluations(params), static_cast<double>(calls.size()), 0);
  return absl::OkStatus();
}

at::Tensor condition(const nn::TensorMap& tensors, Conditioning conditioning) {
  return named(tensors, conditioning == Conditioning::kImage ? "cond" : "neg_cond");
}

// [B] mean of each sample's condition.
at::Tensor condition_mean(const nn::TensorMap& tensors, Conditioning conditioning) {
  return condition(tensors, conditioning).mean(at::IntArrayRef{1, 2});
}

Status run_dense_field(const Case& c, const nn::TensorMap& tensors, Report& report) {
  const infer::Predict field = [&](const at::Tensor& x, float t, Conditioning conditioning) {
    std::vector<int64_t> per_sample(x.dim(), 1), per_channel(x.dim(), 1);
    per_sample[0] = x.size(0);
    per_channel[1] = x.size(1);
    const auto channel = torch::arange(x.size(1), torch::kFloat32).reshape(per_channel);
    const auto share = (torch::full({x.size(0)}, t) / 1000).reshape(per_sample);
    return x.tanh() * 0.7 + share * 0.3 * x + condition_mean(tensors, conditioning).reshape(per_sample) +
           channel * 0.05;
  };
  return replay(c, tensors, field, {}, kDenseTolerance, report);
}

Status run_dense_network(const Case& c, const nn::TensorMap& tensors, Report& report) {
  const std::string model = c.description.at("model_class");
  if (model != "SparseStructureFlowModel") return absl::UnimplementedError("no replay for the network " + model);
  ESP_ASSIGN(const nn::FlowConfig config, nn::FlowConfig::parse(c.description.at("model_args")));
  ESP_ASSIGN(nn::TensorMap weights, load(c, "weights.safetensors"));
  for (auto& [name, tensor] : weights) tensor = tensor.to(torch::kFloat32);
  ESP_ASSIGN(const auto network, nn::SparseStructureFlow::create(config, weights));
  const infer::Predict predict = [&](const at::Tensor& x, float t, Conditioning conditioning) {
    const at::NoGradGuard no_gradients;
    return network->forward(x, torch::full({x.size(0)}, t), condition(tensors, conditioning));
  };
  return replay(c, tensors, predict, {}, kNetworkTolerance, report);
}

Status run_dense(const Case& c, Report& report) {
  ESP_ASSIGN(const nn::TensorMap tensors, load(c, "tensors.safetensors"));
  return c.description.contains("model_class") ? run_dense_network(c, tensors, report)
                                               : run_dense_field(c, tensors, report);
}

Status run_sparse(const Case& c, Report& report) {
  ESP_ASSIGN(const nn::TensorMap tensors, load(c, "tensors.safetensors"));
  const auto coords = named(tensors, "coords").to(torch::kLong);
  const auto sample_of_row = coords.select(1, 0);
  const auto position = coords.slice(1, 1).sum(1, /*keepdim=*/true).to(torch::kFloat32);
  const infer::Predict field = [&](const at::Tensor& x, float t, Conditioning conditioning) {
    const auto mean = condition_mean(tensors, conditioning);
    const auto share = (torch::full({mean.size(0)}, t) / 1000).index_select(0, sample_of_row).unsqueeze(1);
    auto v = x.tanh() * 0.7 + share * 0.3 * x + mean.index_select(0, sample_of_row).unsqueeze(1) + position * 0.01;
    return tensors.contains("concat_cond") ? v + named(tensors, "concat_cond") * 0.2 : v;
  };
  return replay(c, tensors, field, c.description.at("lengths"), kSparseTolerance, report);
}

Status run_occupancy(const Case& c, Report& report) {
  ESP_ASSIGN(const nn::TensorMap tensors, load(c, "tensors.safetensors"));
  for (const auto& [name, want] : tensors) {
    if (!name.starts_with("coords_")) continue;
    report.compare(name, nn::occupied_coords(named(tensors, "logits"), std::stoll(name.substr(7))), want, 0, 0);
  }
  return absl::OkStatus();
}

Status run_cascade_tokens(const Case& c, Report& report) {
  ESP_ASSIGN(const nn::TensorMap tensors, load(c, "tensors.safetensors"));
  for (const json& run : c.description.at("runs")) {
    ESP_ASSIGN(const auto got, infer::cascade_tokens(named(tensors, "hr_coords"),
                                                     {.low = run.at("lr_resolution"), .wanted = run.at("resolution")},
                                                     run.at("max_num_tokens")));
    report.compare("resolution", static_cast<double>(got.resolution), run.at("result_resolution").get<double>(), 0);
    report.compare("tokens", static_cast<double>(got.coords.size(0)), run.at("num_tokens").get<double>(), 0);
    const auto want = tensors.find("coords_" + std::to_string(got.resolution));
    if (want != tensors.end()) report.compare(want->first, got.coords, want->second, 0, 0);
  }
  return absl::OkStatus();
}

}  // namespace

Status run_sampler_case(const Case& c, Report& report) {
  const std::string kind = c.description.at("kind");
  if (kind == "time_grid") return run_time_grid(c, report);
  if (kind == "dense") return run_dense(c, report);
  if (kind == "sparse") return run_sparse(c, report);
  if (kind == "occupancy") return run_occupancy(c, report);
  if (kind == "cascade_tokens") return run_cascade_tokens(c, report);
  if (kind == "pipeline") return run_pipeline(c, report);
  if (kind == "weights") return run_pipeline_weights(c, report);
  return absl::UnimplementedError("no replay for sampler cases of kind " + kind);
}

}  // namespace espalier::golden
