// The last levels of the official sparse VAE decoder on the voxels of a surface: how long they take, and how much
// memory. Random weights; the subdivision is given.
//
//   bench_sparse_decode [--resolution N] [--levels L] [--blocks N] [--threads N] [--json]

#include <ATen/Parallel.h>
#include <torch/types.h>

#include <chrono>
#include <cmath>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "bench/support.h"
#include "cli/app.h"
#include "nn/networks/sc_vae.h"
#include "nn/sparse/ops.h"

namespace espalier {
namespace {

struct Options {
  int64_t resolution = 512, levels = 1, blocks = 1;
  int threads = 2;
  bool json = false;
};

// The widths of the official decoder from the level where this part begins.
nn::ScVaeConfig config_of(const Options& options) {
  nn::ScVaeConfig config;
  config.io_channels = 7;
  config.latent_channels = 32;
  for (int64_t level = options.levels; level >= 0; --level) {
    config.model_channels.push_back(64 << level);
    config.num_blocks.push_back(level > 0 ? options.blocks : 0);
  }
  config.resampling.assign(static_cast<size_t>(options.levels), nn::Resampling::kChannels);
  return config;
}

Result<nlohmann::json> run(const Options& options) {
  const at::NoGradGuard no_grad;
  const auto coords = bench::shell(0.4 * static_cast<double>(options.resolution));
  ESP_ASSIGN(const auto voxels, nn::SparseTensor::create(torch::empty({coords.size(0), 0}), coords, 1));
  const auto guide = nn::guide_to(voxels, options.levels);
  auto cells = coords;
  for (int64_t level = 0; level < options.levels; ++level) {
    const auto map = nn::parent_map({torch::empty({cells.size(0), 0}), cells, {0, cells.size(0)}});
    cells = map.coords;
  }
  ESP_ASSIGN(const auto latent, nn::SparseTensor::create(bench::random_tensor({cells.size(0), 32}, 1, 1), cells, 1));
  const auto config = config_of(options);
  auto generator = at::detail::createCPUGenerator(1);
  ESP_ASSIGN(const auto decoder,
             nn::ScVaeDecoder::create(config, nn::ScVaeDecoder::init_parameters(config, generator)));
  const int64_t before = bench::peak_rss_mib();
  const auto start = std::chrono::steady_clock::now();
  const auto decoded = decoder->forward(latent, guide.subdivisions);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (!decoded.voxels.feats.isfinite().all().item<bool>()) return absl::InternalError("the output is not finite");
  return nlohmann::json{{"cells", cells.size(0)},
                        {"voxels", decoded.voxels.rows()},
                        {"seconds", seconds},
                        {"peak_rss_mib_before", before},
                        {"peak_rss_mib", bench::peak_rss_mib()}};
}

}  // namespace
}  // namespace espalier

int main(int argc, char** argv) {
  espalier::Options options;
  espalier::cli::App app("bench_sparse_decode", "The last levels of the official sparse VAE decoder.");
  app.option("--resolution", options.resolution, "voxels per side").show_default().range(32, 2048);
  app.option("--levels", options.levels, "splits, of the official four").show_default().range(1, 4);
  app.option("--blocks", options.blocks, "convolution blocks per level").show_default().range(0, 16);
  app.option("--threads", options.threads).show_default().range(1, 1024);
  app.flag("--json", options.json, "one line of JSON instead of a list");
  if (const auto done = app.parse(argc, argv)) return *done;
  at::set_num_threads(options.threads);
  return espalier::bench::print(espalier::run(options), options.json);
}
