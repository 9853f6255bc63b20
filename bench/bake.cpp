// From a decoded surface with materials in voxels to a textured mesh in a file, step by step.
//
//   bench_bake --faces 1000000 --texture 4096 --resolution 512 --threads 2 [--remesh] [--noise 0.3] [--no-snap]
//   [--json]
//
// The surface is what a decoder gives: the dual grid's mesh of a knotted tube with bumps, its vertices moved by noise
// (in voxels), simplified to `faces` triangles; colours are looked up on the unsimplified one.

#include "bake/bake.h"

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>

#include "absl/strings/str_cat.h"
#include "bench/support.h"
#include "cli/app.h"
#include "mesh/glb_writer.h"
#include "ovoxel/dual_grid.h"
#include "ovoxel/dual_mesh.h"
#include "ovoxel/remesh.h"

namespace espalier {
namespace {

struct Options {
  size_t faces = 1'000'000;
  int texture = 4096, threads = 0;
  int32_t resolution = 512;
  float noise = 0;
  bool snap = true, remesh = false, json = false;
};

// A closed tube around a (2, 3) torus knot, of 2 * around * along triangles.
mesh::Surface knot(uint32_t along, uint32_t around) {
  constexpr double kTurn = 2 * std::numbers::pi;
  const auto centre = [](double t) {
    const double r = 0.28 + 0.1 * std::cos(3 * t);
    return std::array{r * std::cos(2 * t), r * std::sin(2 * t), 0.12 * std::sin(3 * t)};
  };
  mesh::Surface out;
  for (uint32_t i = 0; i < along; ++i) {
    const double t = kTurn * i / along;
    const auto at = centre(t), ahead = centre(t + 1e-3);
    const std::array<double, 3> d{ahead[0] - at[0], ahead[1] - at[1], ahead[2] - at[2]};
    const double flat = std::hypot(d[0], d[1]), whole = std::hypot(flat, d[2]);
    const std::array<double, 3> side{-d[1] / flat, d[0] / flat, 0};
    const std::array<double, 3> up{-d[2] * d[0] / flat / whole, -d[2] * d[1] / flat / whole, flat / whole};
    for (uint32_t k = 0; k < around; ++k) {
      const double a = kTurn * k / around;
      const double radius = 0.06 * (1 + 0.15 * std::sin(9 * a) * std::sin(40 * t));
      mesh::Vec3& p = out.positions.emplace_back();
      for (size_t c = 0; c < 3; ++c) {
        p[c] = static_cast<float>(at[c] + radius * (std::cos(a) * side[c] + std::sin(a) * up[c]));
      }
    }
  }
  const auto at = [&](uint32_t i, uint32_t k) { return i % along * around + k % around; };
  for (uint32_t i = 0; i < along; ++i) {
    for (uint32_t k = 0; k < around; ++k) {
      out.triangles.push_back({at(i, k), at(i + 1, k), at(i + 1, k + 1)});
      out.triangles.push_back({at(i, k), at(i + 1, k + 1), at(i, k + 1)});
    }
  }
  return out;
}

std::array<float, 6> attributes(const ovoxel::Voxel& v, float side) {
  const auto wave = [&](size_t a, float k) { return 0.5f + 0.5f * std::sin(k * static_cast<float>(v[a]) / side); };
  return {wave(0, 40), wave(1, 55), wave(2, 70), wave(0, 20), wave(1, 30), 1};
}

struct Decoded {
  mesh::Surface surface;
  std::vector<ovoxel::Voxel> voxels;
  std::vector<std::array<float, 6>> values;
};

Result<Decoded> decoded(const Options& options) {
  const mesh::Surface tube = knot(6000, 300);
  const auto grid = ovoxel::Grid::cube(options.resolution);
  ESP_ASSIGN(const ovoxel::DualGrid dual, ovoxel::dual_grid(tube.positions, tube.triangles, grid));
  const auto side = static_cast<float>(options.resolution);
  PhiloxStream random(1, 7);
  std::vector<mesh::Vec3> local(dual.voxels.size());
  Decoded out;
  for (size_t i = 0; i < local.size(); ++i) {
    for (size_t a = 0; a < 3; ++a) {
      local[i][a] = dual.dual_vertices[i][a] * side - static_cast<float>(dual.voxels[i][a]) +
                    options.noise * static_cast<float>(random.normal());
    }
    out.values.push_back(attributes(dual.voxels[i], side));
  }
  ESP_ASSIGN(out.surface, ovoxel::dual_mesh({dual.voxels, local, dual.intersected, {}}, grid));
  out.voxels = dual.voxels;
  return out;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Runs a step and notes its seconds.
template <class Step>
Status timed(const char* name, nlohmann::json& out, const Step& step) {
  const auto start = std::chrono::steady_clock::now();
  ESP_TRY(step());
  out[absl::StrCat("seconds_", name)] = seconds_since(start);
  return absl::OkStatus();
}

// What infer/ does to a decoded surface before it is baked.
Status finish_surface(const Options& options, mesh::Surface& surface, nlohmann::json& out) {
  ESP_TRY(timed("holes", out, [&] { return mesh::fill_holes(surface).status(); }));
  if (options.remesh) {
    ESP_TRY(timed("remesh", out, [&]() -> Status {
      ovoxel::RemeshOptions how;
      how.resolution = options.resolution;
      how.threads = options.threads;
      ESP_ASSIGN(surface, ovoxel::remesh(surface, how));
      return absl::OkStatus();
    }));
    out["remeshed_faces"] = surface.triangles.size();
  } else {
    ESP_TRY(timed("repair", out, [&] { return mesh::repair(surface); }));
  }
  if (surface.triangles.size() > options.faces) {
    ESP_TRY(timed("simplify", out, [&]() -> Status {
      ESP_ASSIGN(surface, mesh::simplify(surface, options.faces));
      return absl::OkStatus();
    }));
  }
  return options.remesh ? absl::OkStatus() : timed("orient", out, [&] { return mesh::orient(surface); });
}

Result<nlohmann::json> run(const Options& options) {
  ESP_ASSIGN(const Decoded object, decoded(options));
  nlohmann::json out;
  mesh::Surface surface = object.surface;
  ESP_TRY(finish_surface(options, surface, out));
  bake::BakeOptions how;
  how.texture_size = options.texture;
  how.threads = options.threads;
  how.snap_to_reference = options.snap;
  ESP_ASSIGN(const bake::BakedObject baked,
             bake::bake(surface, object.surface, {object.voxels, object.values, options.resolution}, how));
  out.update({{"decoded_faces", object.surface.triangles.size()},
              {"faces", surface.triangles.size()},
              {"voxels", object.voxels.size()},
              {"charts", baked.report.charts},
              {"texels", baked.report.texels},
              {"unfilled", baked.report.unfilled}});
  for (const bake::StepTime& step : baked.report.steps) out["seconds_" + step.step] = step.seconds;
  const auto start = std::chrono::steady_clock::now();
  ESP_ASSIGN(const std::string glb, mesh::write_glb(baked.scene));
  out["seconds_write"] = seconds_since(start);
  out["bytes"] = glb.size();
  out["peak_rss_mib"] = bench::peak_rss_mib();
  return out;
}

}  // namespace
}  // namespace espalier

int main(int argc, char** argv) {
  espalier::Options options;
  espalier::cli::App app("bench_bake", "Bakes the materials of voxels into the textures of a mesh.");
  app.option("--faces", options.faces, "of the mesh at most").show_default();
  app.option("--texture", options.texture, "texels per side").show_default();
  app.option("--resolution", options.resolution, "voxels per side").range(16, 1024);
  app.option("--threads", options.threads, "0: one per core").range(0, 256).show_default();
  app.option("--noise", options.noise, "of the decoded vertices, standard deviation in voxels");
  app.flag("--remesh", options.remesh, "make the surface anew, as generation does unless told otherwise");
  app.flag("!--no-snap", options.snap, "colours at the texels' own places");
  app.flag("--json", options.json, "print one line of JSON");
  if (const auto done = app.parse(argc, argv)) return *done;
  return espalier::bench::print(espalier::run(options), options.json);
}
