// Conversion of one mesh to a flexible dual grid.
//
//   bench_ovoxel --mesh FILE --resolution N --threads T [--repeat K] [--save OUT] [--json]
//
// FILE is a safetensors file with `vertices` [N, 3] float32 in [-0.5, 0.5] and `faces` [F, 3] int32 or int64. Prints
// the best of K runs; `digest` tells two results apart. OUT gets `coords`, `dual_vertices` and `intersected`, named and
// laid out as the reference's, so that another implementation can be compared with it.

#include <torch/types.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <ctime>
#include <iostream>
#include <nlohmann/json.hpp>

#include "common/sha256.h"
#include "nn/io/safetensors.h"
#include "ovoxel/dual_grid.h"
#include "tests/golden/ovoxel_tensors.h"

namespace espalier {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  std::string mesh, save;
  int32_t resolution = 512;
  int threads = 1;
  int repeat = 1;
  bool json = false;
};

Result<mesh::Surface> load(const std::string& path) {
  ESP_ASSIGN(const auto file, nn::SafetensorsFile::open(path));
  ESP_ASSIGN(const at::Tensor vertices, file.tensor("vertices"));
  ESP_ASSIGN(const at::Tensor faces, file.tensor("faces"));
  if (vertices.dim() != 2 || vertices.size(1) != 3 || faces.dim() != 2 || faces.size(1) != 3) {
    return absl::InvalidArgumentError("vertices and faces must be [N, 3]");
  }
  return mesh::Surface{golden::rows<float, 3>(vertices), golden::triangles(faces)};
}

template <class T>
std::string_view bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

std::string digest(const ovoxel::DualGrid& grid) {
  Sha256 sha;
  sha.update(bytes_of(grid.voxels));
  sha.update(bytes_of(grid.dual_vertices));
  sha.update(bytes_of(grid.intersected));
  return sha.hex_digest();
}

Status save(const ovoxel::DualGrid& grid, const std::string& path) {
  const auto count = static_cast<int64_t>(grid.voxels.size());
  const auto view = [&](const void* data, at::IntArrayRef shape, at::ScalarType type) {
    return torch::from_blob(const_cast<void*>(data), shape, type);
  };
  const auto flags = view(grid.intersected.data(), {count, 1}, torch::kUInt8);
  const auto bits = torch::tensor({1, 2, 4}, torch::kUInt8);
  return nn::write_safetensors(path, {{"coords", view(grid.voxels.data(), {count, 3}, torch::kInt32)},
                                      {"dual_vertices", view(grid.dual_vertices.data(), {count, 3}, torch::kFloat32)},
                                      {"intersected", flags.bitwise_and(bits).ne(0).to(torch::kUInt8)}});
}

Status run(const Options& options) {
  ESP_ASSIGN(const mesh::Surface surface, load(options.mesh));
  ovoxel::DualGridOptions how;
  how.threads = options.threads;
  const auto grid = ovoxel::Grid::cube(options.resolution);
  ovoxel::DualGrid result;
  double seconds = HUGE_VAL, cpu_seconds = HUGE_VAL;
  for (int i = 0; i < options.repeat; ++i) {
    const auto start = Clock::now();
    const auto cpu_start = std::clock();
    ESP_ASSIGN(result, ovoxel::dual_grid(surface.positions, surface.triangles, grid, how));
    seconds = std::min(seconds, std::chrono::duration<double>(Clock::now() - start).count());
    cpu_seconds = std::min(cpu_seconds, static_cast<double>(std::clock() - cpu_start) / CLOCKS_PER_SEC);
  }
  if (!options.save.empty()) ESP_TRY(save(result, options.save));
  const nlohmann::json report = {
      {"resolution", options.resolution}, {"threads", options.threads},   {"triangles", surface.triangles.size()},
      {"voxels", result.voxels.size()},   {"dual_grid_seconds", seconds}, {"cpu_seconds", cpu_seconds},
      {"digest", digest(result)}};
  if (options.json) {
    std::cout << report.dump() << "\n";
  } else {
    std::cout << result.voxels.size() << " voxels from " << surface.triangles.size() << " triangles in " << seconds
              << " s on " << options.threads << " threads\n";
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace espalier

int main(int argc, char** argv) {
  espalier::Options options;
  CLI::App app("Conversion of a mesh to a flexible dual grid.");
  app.add_option("--mesh", options.mesh, "safetensors file with vertices and faces")->required();
  app.add_option("--resolution", options.resolution, "voxels per side")
      ->check(CLI::Range(1, 2048))
      ->capture_default_str();
  app.add_option("--threads", options.threads, "0: one per core")->check(CLI::Range(0, 256))->capture_default_str();
  app.add_option("--repeat", options.repeat, "the best of this many runs counts")->check(CLI::Range(1, 100));
  app.add_option("--save", options.save, "write the result to this safetensors file");
  app.add_flag("--json", options.json, "print one line of JSON");
  CLI11_PARSE(app, argc, argv);
  const auto status = espalier::run(options);
  if (!status.ok()) std::cerr << "bench_ovoxel: " << status.message() << "\n";
  return status.ok() ? 0 : 1;
}
