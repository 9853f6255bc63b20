#include "infer/retexture.h"

#include <torch/types.h>

#include <cmath>

#include "absl/strings/str_cat.h"
#include "infer/pipeline.h"
#include "infer/plan.h"
#include "infer/preview.h"
#include "infer/tensor_rows.h"
#include "infer/texture.h"
#include "infer/textured_scene.h"
#include "mesh/normalize.h"
#include "nn/sparse/ops.h"
#include "ovoxel/dual_grid.h"

namespace espalier::infer {
namespace {

using nn::SparseTensor;

constexpr int kLargestResolution = 1536;

// What the networks are given of a mesh.
struct EncodedMesh {
  SparseTensor shape;  // posterior mean at each cell, a batch of one
  nn::Guide guide;     // from the cells back to the voxels
  std::vector<ovoxel::Voxel> voxels;
};

// [M, 6] of the shape encoder: the dual vertex within its voxel and the crossed edges, both around 0. Of a given mesh
// the vertices are not rounded to bytes.
at::Tensor encoder_channels(const ovoxel::DualGrid& grid, int32_t resolution) {
  const auto rows = static_cast<int64_t>(grid.voxels.size());
  at::Tensor out = torch::empty({rows, 6});
  auto values = out.accessor<float, 2>();
  for (int64_t i = 0; i < rows; ++i) {
    const auto row = static_cast<size_t>(i);
    for (int64_t a = 0; a < 3; ++a) {
      const auto axis = static_cast<size_t>(a);
      const float within = grid.dual_vertices[row][axis] * static_cast<float>(resolution);
      values[i][a] = within - static_cast<float>(grid.voxels[row][axis]) - 0.5f;
      values[i][3 + a] = (grid.intersected[row] >> axis & 1 ? 1.0f : 0.0f) - 0.5f;
    }
  }
  return out;
}

// [M, 4] int32: sample 0, x, y, z.
at::Tensor coords_of(const std::vector<ovoxel::Voxel>& voxels) {
  const auto rows = static_cast<int64_t>(voxels.size());
  const at::Tensor cells = torch::from_blob(const_cast<ovoxel::Voxel*>(voxels.data()), {rows, 3}, torch::kInt32);
  return at::constant_pad_nd(cells, {1, 0});
}

Result<EncodedMesh> encode_mesh(const mesh::Surface& surface, int32_t resolution, const Networks& networks,
                                int64_t token_limit) {
  ESP_ASSIGN(ovoxel::DualGrid grid,
             ovoxel::dual_grid(surface.positions, surface.triangles, ovoxel::Grid::cube(resolution)));
  const c10::Device device = networks.device();
  ESP_ASSIGN(const auto voxels,
             SparseTensor::create(encoder_channels(grid, resolution).to(device), coords_of(grid.voxels).to(device), 1));
  ESP_ASSIGN(const auto encoder, networks.shape_encoder.get());
  EncodedMesh out;
  out.guide = nn::guide_to(voxels, encoder->config().levels() - 1);
  const auto tokens = out.guide.subdivisions.front().size(0);
  if (tokens > token_limit) {
    return absl::ResourceExhaustedError(absl::StrCat("the mesh has ", tokens, " tokens at this resolution; at most ",
                                                     token_limit, " are allowed: ask for a lower one"));
  }
  out.shape = encoder->forward(voxels).mean;
  out.voxels = std::move(grid.voxels);
  return out;
}

// The materials of the mesh's voxels; these come in the decoder's order.
Result<DecodedShape> decode_materials(const SparseTensor& texture, const EncodedMesh& mesh, const Networks& networks,
                                      int32_t resolution) {
  ESP_ASSIGN(const auto decoder, networks.texture_decoder.get());
  DecodedShape out;
  ESP_ASSIGN(out.materials, decode_texture(*decoder, texture, mesh.guide.subdivisions, 0));
  for (const int64_t row : values_of<int64_t>(mesh.guide.order)) {
    out.voxels.push_back(mesh.voxels[static_cast<size_t>(row)]);
  }
  out.resolution = resolution;
  return out;
}

Result<SparseTensor> sample_texture_of(const EncodedMesh& mesh, const at::Tensor& condition, const RetexturePlan& plan,
                                       const Networks& networks, const Noise& noise, const StageHooks& hooks) {
  const nn::BaseModel& base = networks.base();
  ESP_ASSIGN(const auto flow, networks.texture_flow(plan.tier).get());
  return sample_texture(*flow, mesh.shape, condition,
                        {1, plan.params, base.shape_slat_normalization(), base.tex_slat_normalization()}, plan.adapters,
                        noise, hooks);
}

// Undoes a normalisation.
void restore(const mesh::Normalization& map, mesh::Scene& scene) {
  mesh::Normalization inverse;
  inverse.scale = 1 / map.scale;
  for (size_t a = 0; a < 3; ++a) inverse.center[a] = -map.center[a] * map.scale;
  mesh::apply(inverse, scene);
}

// Textures of the normalised mesh, which then goes back to its own place and size.
Bake baking_onto(const mesh::Scene& scene, const mesh::Surface& surface, const mesh::Normalization& map,
                 bool keep_uvs) {
  return [&, keep_uvs](const bake::AttributeVolume& volume,
                       const bake::BakeOptions& options) -> Result<bake::BakedObject> {
    ESP_ASSIGN(bake::BakedObject baked, keep_uvs ? bake::bake_onto_uvs(scene.meshes.front(), surface, volume, options)
                                                 : bake::bake(surface, surface, volume, options));
    restore(map, baked.scene);
    return baked;
  };
}

void choose_resolution(const RetextureRequest& request, const Networks& networks, RetexturePlan& plan,
                       std::vector<Fault>& faults) {
  const double scale = networks.base().grid_scale();
  plan.resolution = request.resolution != 0 ? request.resolution : smallest_tier(networks.base());
  const Pipeline* pipeline = pipeline_for(plan.resolution);
  if (pipeline == nullptr || !networks.has_texture(pipeline->tier) ||
      !fits(scaled(*pipeline, scale), *pipeline, scale)) {
    faults.push_back({"resolution", absl::StrCat(plan.resolution, " is not a resolution, up to ", kLargestResolution,
                                                 ", that the base model has a texture network for")});
    return;
  }
  plan.tier = pipeline->tier;
  plan.voxels = static_cast<int32_t>(scaled(*pipeline, scale).voxels);
}

void check_mesh(const RetextureRequest& request, std::vector<Fault>& faults) {
  if (request.mesh.meshes.empty()) faults.push_back({"mesh_file", "has no mesh"});
  if (!request.keep_uvs) return;
  if (request.mesh.meshes.size() != 1) {
    faults.push_back({"keep_uvs", absl::StrCat("the file has ", request.mesh.meshes.size(),
                                               " meshes; only one can keep its texture coordinates")});
  } else if (request.mesh.meshes.front().uvs.empty()) {
    faults.push_back({"keep_uvs", "the mesh has no texture coordinates"});
  }
}

}  // namespace

Result<RetexturePlan> make_retexture_plan(const RetextureRequest& request, Networks& networks, image::Matting* matting,
                                          std::vector<Fault>& faults) {
  if (!networks.can_retexture()) {
    return absl::FailedPreconditionError(
        absl::StrCat("base model ", networks.base().name(),
                     " lacks what textures a given mesh: shape_slat_encoder and the texture's networks"));
  }
  RetexturePlan plan;
  choose_resolution(request, networks, plan, faults);
  check_mesh(request, faults);
  check_seed(request.seed, faults);
  check_adapters(request.adapters, faults);
  check_outputs(request, faults);
  plan.params = apply(request.texture, params_of(networks.base().tex_slat_sampler()), "texture", faults);
  if (plan.tier != 0) plan.adapters = read_texture_adapters(request.adapters, plan.tier, networks, faults);
  auto images = condition_images(request.image, request.background, {plan.tier != 0 ? plan.tier : kStructureTier},
                                 networks.base().grid_scale(), matting);
  add_image_fault(images, faults);
  ESP_TRY(to_status(faults));
  if (!images.ok()) return annotate(images.status(), "image");
  plan.images = *std::move(images);
  return plan;
}

Result<GeneratedAssets> run_retexture(const RetextureRequest& request, RetexturePlan plan, Networks& networks,
                                      uint64_t seed, int64_t token_limit, const StageHooks& hooks) {
  const at::NoGradGuard no_gradients;
  const auto tell = [&](const char* stage) {
    if (hooks.progress) hooks.progress(stage, 1, 1);
  };
  GeneratedAssets assets;
  assets.seed = seed;
  assets.resolution = plan.resolution;
  assets.representation = Representation::kGivenMesh;
  assets.textured = true;
  assets.texture = plan.params;
  for (const std::string& warning : request.mesh.warnings) assets.warnings.push_back(absl::StrCat("mesh: ", warning));
  Stopwatch watch;
  ESP_ASSIGN(const auto conditions, encode(plan.images, networks, hooks));
  watch.lap("condition");

  mesh::Scene scene = request.mesh;
  ESP_ASSIGN(const mesh::Normalization map, mesh::normalize(scene));
  const mesh::Surface surface = ovoxel::welded(scene);
  ESP_ASSIGN(const EncodedMesh mesh, encode_mesh(surface, plan.voxels, networks, token_limit));
  tell("encode");
  watch.lap("encode");
  ESP_ASSIGN(const SparseTensor texture,
             sample_texture_of(mesh, conditions.at(plan.tier), plan, networks, seeded_noise(seed), hooks));
  watch.lap("texture");
  ESP_TRY(hooks.check_stop());
  ESP_ASSIGN(const DecodedShape decoded, decode_materials(texture, mesh, networks, plan.voxels));
  tell("decode");
  watch.lap("decode");

  bake::BakeOptions baking;
  baking.snap_to_reference = false;  // the mesh is the surface that the voxels were made of
  ESP_ASSIGN(mesh::Scene textured,
             textured_scene(decoded, request, baking, hooks, baking_onto(scene, surface, map, request.keep_uvs)));
  ESP_ASSIGN(std::string glb, glb_of(textured, request));
  watch.lap("bake");
  GeneratedSample& sample = assets.samples.emplace_back();
  sample.files.push_back({FileFormat::kGlb, std::move(glb)});
  sample.shape_tokens = mesh.shape.rows();
  sample.shape_voxels = static_cast<int64_t>(decoded.voxels.size());
  sample.vertices = static_cast<int64_t>(mesh::vertex_count(scene));
  sample.triangles = static_cast<int64_t>(mesh::face_count(scene));
  ESP_TRY(add_previews({std::move(textured)}, request.preview, hooks, assets));
  if (request.preview) watch.lap("preview");
  assets.seconds = watch.seconds();
  return assets;
}

}  // namespace espalier::infer
