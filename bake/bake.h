#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "mesh/scene.h"
#include "mesh/surface.h"
#include "ovoxel/grid.h"

// From the material in the voxels around a surface to a textured mesh.
// Reference: o-voxel/o_voxel/postprocess.py, to_glb; trellis2/pipelines/trellis2_texturing.py, postprocess_mesh.
namespace espalier::bake {

inline constexpr int kSmallestTexture = 64, kLargestTexture = 8192;

// Materials at the centres of voxels, `resolution` per side of [-0.5, 0.5]^3. Views only.
struct AttributeVolume {
  std::span<const ovoxel::Voxel> voxels;  // [M] in the grid, each once, in any order
  // [M] base colour RGB (as stored in textures), metallic, roughness, alpha; nominally 0..1, clamped when stored
  std::span<const std::array<float, 6>> values;
  int32_t resolution = 0;  // 1 .. 2048
};

// How the alpha of the volume is used. It is always kept in the texture.
enum class AlphaChoice {
  kOpaque,
  kBlend,
  kMask,       // with a cutoff of one half
  kAutomatic,  // blend when more than 0.5 % of the texels have an alpha below 250/255, else opaque
};

struct BakeOptions {
  int texture_size = 2048;  // texels per side, kSmallestTexture .. kLargestTexture
  AlphaChoice alpha = AlphaChoice::kOpaque;
  // Look up colours at the closest point of the reference surface instead of the texel's own place.
  bool snap_to_reference = true;
  bool double_sided = true;
  int threads = 0;  // 0: one per core; the result does not depend on it
  std::stop_token stop;
  // Called on the caller's thread when a step begins, with the part of the whole that is done, 0..1. May be empty.
  std::function<void(std::string_view step, double done)> progress;
};

struct StepTime {
  std::string step;
  double seconds = 0;
};

struct BakeReport {
  size_t charts = 0;    // connected pieces of the texture; 0 where the mesh brought its own uvs
  size_t texels = 0;    // that show the surface
  size_t unfilled = 0;  // of them those without any voxel near, coloured like their neighbours
  mesh::AlphaMode alpha_mode = mesh::AlphaMode::kOpaque;
  std::vector<StepTime> steps;
};

// One mesh, one material, and two images: base colour with alpha, and (0, roughness, metallic).
struct BakedObject {
  mesh::Scene scene;
  BakeReport report;
};

// Unwraps `surface` and bakes the volume into textures for it.
//
// Triangles with a repeated corner and unused vertices are dropped; the others keep their order and are cut into charts
// that neither overlap nor touch, so that no filter mixes them. Vertices are split between charts (Mesh::points says
// which are one) and have the normals of the unsplit surface. Each texel takes the trilinear mean over the voxels that
// exist; the space between the charts is filled from them.
//
//   surface    in the volume's frame; must have an area
//   reference  the surface that the volume was decoded with, for snap_to_reference; may be `surface` itself
//
// INVALID_ARGUMENT: options out of range, what mesh::validate() refuses, no area, voxels and values of different
// number, a voxel outside the grid or listed twice, a value that is not finite, no voxel near the surface. CANCELLED:
// stopped.
Result<BakedObject> bake(const mesh::Surface& surface, const mesh::Surface& reference, const AttributeVolume& volume,
                         const BakeOptions& options = {});

// The same for a mesh that keeps its uvs; materials it had are replaced. Uvs outside [0, 1] wrap around. Where two
// triangles share a texel the first one has it. Normals are kept, or made when there are none.
// INVALID_ARGUMENT also: no uvs, one that is not finite, a triangle that spans more than the texture.
Result<BakedObject> bake_onto_uvs(const mesh::Mesh& mesh, const mesh::Surface& reference, const AttributeVolume& volume,
                                  const BakeOptions& options = {});

}  // namespace espalier::bake
