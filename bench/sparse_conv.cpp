// A submanifold 3x3x3 convolution on the voxels of a surface, against LibTorch's operators on the same voxels.
//
//   bench_sparse_conv [--voxels N] [--in C] [--out C] [--threads N] [--rounds N] [--json]
//
// Each round times, one after the other: this project's kernel; for each of the 27 offsets index_select over all rows
// (zeros where a neighbour is absent) and matmul; the same over the rows that have the neighbour, with index_add; and a
// large matrix product, the machine's peak. Reported are medians, and the medians of the ratios within a round.

#include <ATen/Parallel.h>
#include <torch/types.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "bench/support.h"
#include "nn/layers/gemm.h"
#include "nn/sparse/ops.h"

namespace espalier {
namespace {

struct Options {
  int64_t voxels = 100000, in = 64, out = 64;
  int threads = 2, rounds = 5;
  bool json = false;
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

double seconds(const std::function<at::Tensor()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

Result<nlohmann::json> run(const Options& options) {
  const at::NoGradGuard no_grad;
  const auto coords = bench::shell(std::sqrt(static_cast<double>(options.voxels) / (8 * M_PI)));
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

  const std::map<std::string, std::function<at::Tensor()>> works = {
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
  std::map<std::string, std::vector<double>> times, ratios;
  for (int round = 0; round < options.rounds; ++round) {
    for (const auto& [name, work] : works) times[name].push_back(seconds(work));
    for (const auto& [name, work] : works) ratios[name].push_back(times[name].back() / times["ours"].back());
  }
  nlohmann::json result = {
      {"voxels", coords.size(0)},    {"neighbours_per_voxel", pairs / static_cast<double>(coords.size(0))},
      {"threads", options.threads},  {"map_ms", 1e3 * map_seconds},
      {"largest_difference", error}, {"largest_value", want.abs().max().item<double>()}};
  for (const auto& [name, values] : times) result[name + "_ms"] = 1e3 * median(values);
  result["speed_over_all_rows"] = median(ratios["all_rows"]);
  result["speed_over_present_rows"] = median(ratios["present_rows"]);
  const double gemm_flops = 2 * std::pow(static_cast<double>(kPeakSide), 3);
  result["gemm_gflops"] = gemm_flops / median(times["gemm"]) / 1e9;
  result["share_of_gemm_peak"] = median(ratios["gemm"]) * flops / gemm_flops;
  return result;
}

}  // namespace
}  // namespace espalier

int main(int argc, char** argv) {
  espalier::Options options;
  CLI::App app("A submanifold convolution against LibTorch's operators.");
  app.add_option("--voxels", options.voxels)->capture_default_str()->check(CLI::Range(1000, 10000000));
  app.add_option("--in", options.in, "input channels")->capture_default_str()->check(CLI::Range(1, 4096));
  app.add_option("--out", options.out, "output channels")->capture_default_str()->check(CLI::Range(1, 4096));
  app.add_option("--threads", options.threads)->capture_default_str()->check(CLI::Range(1, 1024));
  app.add_option("--rounds", options.rounds)->capture_default_str()->check(CLI::Range(1, 1000));
  app.add_flag("--json", options.json, "one line of JSON instead of a list");
  CLI11_PARSE(app, argc, argv);
  at::set_num_threads(options.threads);
  return espalier::bench::print(espalier::run(options), options.json);
}
