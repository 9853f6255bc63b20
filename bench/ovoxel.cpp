// Conversion of one mesh to a flexible dual grid and, when the file has uvs, of its material to voxels.
//
//   bench_ovoxel --mesh FILE --resolution N --threads T [--repeat K] [--save OUT] [--json]
//
// FILE is a safetensors file with `vertices` [N, 3] float32 in [-0.5, 0.5] and `faces` [F, 3] int32 or int64; for the
// material `uvs` [F, 3, 2] float32 and any of `baseColorTexture` [S, S, 3], `alphaTexture`, `metallicTexture` and
// `roughnessTexture` [S, S] uint8, bottom row first. Prints the best of K runs; `digest` tells two results apart. OUT
// gets `coords`, `dual_vertices` and `intersected`, named and laid out as the reference's, so that another
// implementation can be compared with it.

#include <torch/types.h>

#include <chrono>
#include <cmath>
#include <ctime>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/app.h"
#include "common/sha256.h"
#include "nn/io/safetensors.h"
#include "ovoxel/dual_grid.h"
#include "ovoxel/pbr_voxels.h"
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

std::string digest(const ovoxel::VoxelTable& table) {
  Sha256 sha;
  sha.update(bytes_of(table.voxels));
  for (const auto& attribute : table.attributes) sha.update(bytes_of(attribute.values));
  return sha.hex_digest();
}

Result<std::optional<mesh::Texture>> texture_of(const nn::SafetensorsFile& file, const char* name, mesh::Scene& scene) {
  if (!file.contains(name)) return std::optional<mesh::Texture>();
  ESP_ASSIGN(const at::Tensor pixels, file.tensor(name));
  mesh::Texture out;
  out.image = static_cast<int>(scene.images.size());
  scene.images.push_back(golden::dumped_image(pixels));
  return std::optional<mesh::Texture>(out);
}

// The mesh with its textures; without meshes when the file has no uvs.
Result<mesh::Scene> load_textured(const std::string& path) {
  mesh::Scene scene;
  ESP_ASSIGN(const auto file, nn::SafetensorsFile::open(path));
  if (!file.contains("uvs")) return scene;
  ESP_ASSIGN(const at::Tensor vertices, file.tensor("vertices"));
  ESP_ASSIGN(const at::Tensor faces, file.tensor("faces"));
  ESP_ASSIGN(const at::Tensor uvs, file.tensor("uvs"));
  scene.meshes.push_back(golden::dumped_mesh(vertices, faces, uvs));
  scene.meshes[0].material_ids.assign(scene.meshes[0].triangles.size(), 0);
  mesh::Material& material = scene.materials.emplace_back();
  material.metallic = material.roughness = 1;
  ESP_ASSIGN(material.base_color_texture, texture_of(file, "baseColorTexture", scene));
  ESP_ASSIGN(material.alpha_texture, texture_of(file, "alphaTexture", scene));
  ESP_ASSIGN(material.metallic_texture, texture_of(file, "metallicTexture", scene));
  ESP_ASSIGN(material.roughness_texture, texture_of(file, "roughnessTexture", scene));
  return scene;
}

struct Timing {
  double seconds = HUGE_VAL, cpu_seconds = HUGE_VAL;
};

// The best of `repeat` calls.
template <class Work>
Result<Timing> timed(int repeat, Work&& work) {
  Timing best;
  for (int i = 0; i < repeat; ++i) {
    const auto start = Clock::now();
    const auto cpu_start = std::clock();
    ESP_TRY(work());
    best.seconds = std::min(best.seconds, std::chrono::duration<double>(Clock::now() - start).count());
    best.cpu_seconds = std::min(best.cpu_seconds, static_cast<double>(std::clock() - cpu_start) / CLOCKS_PER_SEC);
  }
  return best;
}

Status run_dual_grid(const Options& options, nlohmann::json& report) {
  ESP_ASSIGN(const mesh::Surface surface, load(options.mesh));
  ovoxel::DualGridOptions how;
  how.threads = options.threads;
  const auto grid = ovoxel::Grid::cube(options.resolution);
  ovoxel::DualGrid result;
  ESP_ASSIGN(const Timing timing, timed(options.repeat, [&]() -> Status {
               ESP_ASSIGN(result, ovoxel::dual_grid(surface.positions, surface.triangles, grid, how));
               return absl::OkStatus();
             }));
  if (!options.save.empty()) ESP_TRY(save(result, options.save));
  report.update({{"triangles", surface.triangles.size()},
                 {"voxels", result.voxels.size()},
                 {"dual_grid_seconds", timing.seconds},
                 {"cpu_seconds", timing.cpu_seconds},
                 {"digest", digest(result)}});
  return absl::OkStatus();
}

Status run_attributes(const Options& options, nlohmann::json& report) {
  ESP_ASSIGN(const mesh::Scene scene, load_textured(options.mesh));
  if (scene.meshes.empty()) return absl::OkStatus();
  ovoxel::PbrVoxelOptions how;
  how.threads = options.threads;
  ovoxel::VoxelTable result;
  ESP_ASSIGN(const Timing timing, timed(options.repeat, [&]() -> Status {
               ESP_ASSIGN(result, ovoxel::pbr_voxels(scene, options.resolution, how));
               return absl::OkStatus();
             }));
  report.update({{"attributes_seconds", timing.seconds},
                 {"attributes_cpu_seconds", timing.cpu_seconds},
                 {"attributes_digest", digest(result)}});
  return absl::OkStatus();
}

Status run(const Options& options) {
  nlohmann::json report = {{"resolution", options.resolution}, {"threads", options.threads}};
  ESP_TRY(run_dual_grid(options, report));
  ESP_TRY(run_attributes(options, report));
  if (options.json) {
    std::cout << report.dump() << "\n";
    return absl::OkStatus();
  }
  std::cout << report["voxels"] << " voxels from " << report["triangles"] << " triangles in "
            << report["dual_grid_seconds"] << " s on " << options.threads << " threads";
  if (report.contains("attributes_seconds"))
    std::cout << ", their material in " << report["attributes_seconds"] << " s";
  std::cout << "\n";
  return absl::OkStatus();
}

}  // namespace
}  // namespace espalier

int main(int argc, char** argv) {
  espalier::Options options;
  espalier::cli::App app("bench_ovoxel", "Conversion of a mesh to a flexible dual grid and of its material to voxels.");
  app.option("--mesh", options.mesh, "safetensors file with vertices and faces").required();
  app.option("--resolution", options.resolution, "voxels per side").range(1, 2048).show_default();
  app.option("--threads", options.threads, "0: one per core").range(0, 256).show_default();
  app.option("--repeat", options.repeat, "the best of this many runs counts").range(1, 100);
  app.option("--save", options.save, "write the dual grid to this safetensors file");
  app.flag("--json", options.json, "print one line of JSON");
  if (const auto done = app.parse(argc, argv)) return *done;
  const auto status = espalier::run(options);
  if (!status.ok()) std::cerr << "bench_ovoxel: " << status.message() << "\n";
  return status.ok() ? 0 : 1;
}
