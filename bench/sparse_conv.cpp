// A submanifold 3x3x3 convolution on the voxels of a surface, against LibTorch's operators on the same voxels.
//
//   bench_sparse_conv [--voxels N] [--in C] [--out C] [--threads N] [--rounds N] [--json]
//   bench_sparse_conv --device cuda [--type fp32|fp16|bf16] [--voxels N] [--in C] [--out C] [--rounds N] [--json]
//
// Each round times, one after the other: this project's kernel; for each of the 27 offsets index_select over all rows
// (zeros where a neighbour is absent) and matmul; the same over the rows that have the neighbour, with index_add; and a
// large matrix product, the machine's peak. Reported are medians, and the medians of the ratios within a round.
//
// With --device cuda: the kernels against the neighbours laid out side by side by LibTorch's operators and multiplied
// (nn/sparse/conv_gather.h), for the output and for the weight's gradient.

#include <ATen/Parallel.h>
#include <torch/cuda.h>
#include <torch/types.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "bench/support.h"
#include "cli/app.h"
#include "nn/layers/gemm.h"
#include "nn/sparse/conv_cuda.h"
#include "nn/sparse/conv_gather.h"
#include "nn/sparse/ops.h"

namespace espalier {
namespace {

struct Options {
  int64_t voxels = 100000, in = 64, out = 64;
  int threads = 2, rounds = 5;
  bool json = false;
  std::string device = "cpu";
  at::ScalarType type = at::kHalf;  // on a GPU
};

// The convolution by LibTorch's operators; what they need of the map is made beforehand.
class Baseline {
 public:
  Baseline(const at::Tensor& map, const at::Tensor& weight) {
    const auto kernel = weight.flatten(1, 3).permute({1, 2, 0}).contiguous();  // [27, in, out]
    for (int64_t v = 0; v < 27; ++v) {
      const auto column = map.select(1, v).to(torch::kLong);
      kernels_.push_back(kernel[v]);
      all_.push_back(at::where(column < 0, column.new_full({}, map.size(0)), column));
      rows_.push_back((column >= 0).nonzero().flatten());
      sources_.push_back(column.index_select(0, rows_.back()));
    }
  }
  // `padded`: the features and one more row of zeros.
  at::Tensor over_all_rows(const at::Tensor& padded) const {
    auto sum = torch::zeros({padded.size(0) - 1, kernels_[0].size(1)});
    for (size_t v = 0; v < kernels_.size(); ++v) sum.addmm_(padded.index_select(0, all_[v]), kernels_[v]);
    return sum;
  }
  at::Tensor over_present_rows(const at::Tensor& feats) const {
    auto sum = torch::zeros({feats.size(0), kernels_[0].size(1)});
    for (size_t v = 0; v < kernels_.size(); ++v) {
      sum.index_add_(0, rows_[v], at::mm(feats.index_select(0, sources_[v]), kernels_[v]));
    }
    return sum;
  }

 private:
  std::vector<at::Tensor> kernels_, all_, rows_, sources_;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

using Works = std::map<std::string, std::function<at::Tensor()>>;

// Times works one after the other, round by round.
class Rounds {
 public:
  Rounds(const Works& works, int rounds, bool on_gpu) {
    for (int round = 0; round < rounds; ++round) {
      for (const auto& [name, work] : works) times_[name].push_back(seconds(work, on_gpu));
    }
  }
  double median_ms(const std::string& name) const { return 1e3 * median(times_.at(name)); }
  // The median of time(name) / time(by) within a round.
  double ratio(const std::string& name, const std::string& by) const {
    std::vector<double> ratios;
    for (size_t round = 0; round < times_.at(by).size(); ++round) {
      ratios.push_back(times_.at(name)[round] / times_.at(by)[round]);
    }
    return median(std::move(ratios));
  }

 private:
  static double seconds(const std::function<at::Tensor()>& work, bool on_gpu) {
    const auto start = std::chrono::steady_clock::now();
    work();
    if (on_gpu) torch::cuda::synchronize();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

  std::map<std::string, std::vector<double>> times_;
};

at::Tensor surface(const Options& options) {
  return bench::shell(std::sqrt(static_cast<double>(options.voxels) / (8 * M_PI)));
}

Result<nlohmann::json> run_on_cpu(const Options& options) {
  const at::NoGradGuard no_grad;
  const auto coords = surface(options);
  const auto feats = bench::random_tensor({coords.size(0), options.in}, 1, 1);
  ESP_ASSIGN(const auto x, nn::SparseTensor::create(feats, coords, 1));
  const auto weight = bench::random_tensor({options.out, 3, 3, 3, options.in}, 0.05, 2);
  const auto bias = torch::zeros({options.out});
  const auto map_start = std::chrono::steady_clock::now();
  const auto map = nn::neighbour_map(x);
  const double map_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - map_start).count();
  const double pairs = map.ge(0).sum().item<double>(),
               flops = 2 * pairs * static_cast<double>(options.in * options.out);
  const Baseline baseline(map, weight);
  const auto padded = at::cat({feats, torch::zeros({1, options.in})});
  constexpr int64_t kPeakSide = 1536;
  const auto a = bench::random_tensor({kPeakSide, kPeakSide}, 1, 3),
             b = bench::random_tensor({kPeakSide, kPeakSide}, 1, 4);

  const Works works = {
      {"ours", [&] { return nn::submanifold_conv(feats, map, weight, bias); }},
      {"all_rows", [&] { return baseline.over_all_rows(padded); }},
      {"present_rows", [&] { return baseline.over_present_rows(feats); }},
      {"gemm", [&] { return nn::gemm_nt(a, b); }},
  };
  const auto want = works.at("all_rows")();
  const double error = (works.at("ours")() - want).abs().max().item<double>();
  if (!(error < 1e-3) || !(works.at("present_rows")() - want).abs().max().lt(1e-3).item<bool>()) {
    return absl::InternalError("the results differ");
  }
  const Rounds rounds(works, options.rounds, /*on_gpu=*/false);
  nlohmann::json result = {
      {"voxels", coords.size(0)},    {"neighbours_per_voxel", pairs / static_cast<double>(coords.size(0))},
      {"threads", options.threads},  {"map_ms", 1e3 * map_seconds},
      {"largest_difference", error}, {"largest_value", want.abs().max().item<double>()}};
  for (const auto& [name, work] : works) result[name + "_ms"] = rounds.median_ms(name);
  result["speed_over_all_rows"] = rounds.ratio("all_rows", "ours");
  result["speed_over_present_rows"] = rounds.ratio("present_rows", "ours");
  const double gemm_flops = 2 * std::pow(static_cast<double>(kPeakSide), 3);
  result["gemm_gflops"] = gemm_flops / rounds.median_ms("gemm") / 1e6;
  result["share_of_gemm_peak"] = rounds.ratio("gemm", "ours") * flops / gemm_flops;
  return result;
}

double relative_difference(const at::Tensor& a, const at::Tensor& b) {
  const auto want = b.to(at::kFloat);
  return ((a.to(at::kFloat) - want).abs().max() / want.abs().max()).item<double>();
}

Result<nlohmann::json> run_on_gpu(const Options& options) {
  if (!at::hasCUDA())
    return absl::FailedPreconditionError("--device: cuda, but there is no CUDA device or no such build");
  const at::NoGradGuard no_grad;
  at::globalContext().setAllowTF32CuBLAS(false);  // the kernels multiply fp32 exactly
  const auto placed = at::TensorOptions(options.type).device(at::kCUDA);
  const auto coords = surface(options);
  const auto feats = bench::random_tensor({coords.size(0), options.in}, 1, 1).to(placed);
  const auto kernel = bench::random_tensor({27, options.in, options.out}, 0.05, 2).to(placed);
  const auto grad = bench::random_tensor({coords.size(0), options.out}, 1, 3).to(placed);
  ESP_ASSIGN(const auto x, nn::SparseTensor::create(feats, coords.to(at::kCUDA), 1));
  const auto map = nn::neighbour_map(x), order = nn::row_order(x);
  const Works works = {
      {"ours", [&] { return nn::convolve_cuda(feats, map, order, kernel, {}); }},
      {"gathered", [&] { return nn::convolve_gathered(feats, map, kernel, {}); }},
      {"ours_weight_gradient", [&] { return nn::weight_gradient_cuda(grad, feats, map); }},
      {"gathered_weight_gradient", [&] { return nn::weight_gradient_gathered(grad, feats, map); }},
      {"sorting", [&] { return nn::sorted_rows(map); }},
  };
  // The first calls also warm up; gathered sums of half types are rounded once per chunk.
  const double error = relative_difference(works.at("ours")(), works.at("gathered")()),
               gradient_error =
                   relative_difference(works.at("ours_weight_gradient")(), works.at("gathered_weight_gradient")());
  if (!(error < 0.02) || !(gradient_error < 0.02)) return absl::InternalError("the results differ");
  const Rounds rounds(works, options.rounds, /*on_gpu=*/true);
  const double pairs = map.ge(0).sum().item<double>();
  const double flops = 2 * pairs * static_cast<double>(options.in * options.out);
  nlohmann::json result = {{"voxels", coords.size(0)},
                           {"neighbours_per_voxel", pairs / static_cast<double>(coords.size(0))},
                           {"type", c10::toString(options.type)},
                           {"relative_difference", error},
                           {"relative_difference_of_gradients", gradient_error}};
  for (const auto& [name, work] : works) result[name + "_ms"] = rounds.median_ms(name);
  result["tflops"] = flops / rounds.median_ms("ours") / 1e9;
  result["weight_gradient_tflops"] = flops / rounds.median_ms("ours_weight_gradient") / 1e9;
  result["speed_over_gathered"] = rounds.ratio("gathered", "ours");
  result["weight_gradient_speed_over_gathered"] = rounds.ratio("gathered_weight_gradient", "ours_weight_gradient");
  return result;
}

}  // namespace
}  // namespace espalier

int main(int argc, char** argv) {
  espalier::Options options;
  espalier::cli::App app("bench_sparse_conv", "A submanifold convolution against LibTorch's operators.");
  app.option("--voxels", options.voxels).show_default().range(1000, 10000000);
  app.option("--in", options.in, "input channels").show_default().range(1, 4096);
  app.option("--out", options.out, "output channels").show_default().range(1, 4096);
  app.option("--threads", options.threads).show_default().range(1, 1024);
  app.option("--rounds", options.rounds).show_default().range(1, 1000);
  app.flag("--json", options.json, "one line of JSON instead of a list");
  app.option("--device", options.device).show_default().choices({"cpu", "cuda"});
  const std::map<std::string, at::ScalarType> types = {
      {"fp32", at::kFloat}, {"fp16", at::kHalf}, {"bf16", at::kBFloat16}};
  app.text(
         "--type", [&](const std::string& name) { options.type = types.at(name); }, "on a GPU; fp16 if not given")
      .choices({"fp32", "fp16", "bf16"});
  if (const auto done = app.parse(argc, argv)) return *done;
  at::set_num_threads(options.threads);
  const auto result = options.device == "cuda" ? espalier::run_on_gpu(options) : espalier::run_on_cpu(options);
  return espalier::bench::print(result, options.json);
}
