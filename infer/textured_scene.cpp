#include "infer/textured_scene.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "mesh/glb_writer.h"

namespace espalier::infer {
namespace {

constexpr int kPercent = 100;

}  // namespace

Result<mesh::Scene> textured_scene(const DecodedShape& shape, const OutputOptions& output, bake::BakeOptions baking,
                                   const StageHooks& hooks, const Bake& bake) {
  baking.texture_size = output.texels();
  baking.alpha = output.alpha_mode.value_or(bake::AlphaChoice::kOpaque);
  baking.stop = hooks.stop;
  const auto tell = [&](double done) {
    if (hooks.progress) hooks.progress("bake", static_cast<int>(std::lround(done * kPercent)), kPercent);
  };
  baking.progress = [&](std::string_view, double done) { tell(done); };
  auto baked = bake({shape.voxels, shape.materials, shape.resolution}, baking);
  if (absl::IsInvalidArgument(baked.status())) {  // the request was right: it is the generated shape that has no place
    return absl::FailedPreconditionError(
        absl::StrCat("the texture cannot be baked: ", std::string(baked.status().message())));
  }
  ESP_TRY(baked.status());
  tell(1);
  return std::move(baked->scene);
}

Result<std::string> glb_of(const mesh::Scene& scene, const OutputOptions& output) {
  mesh::GlbOptions glb;
  glb.texture_format = output.texture_format.value_or(mesh::TextureFormat::kPng);
  return mesh::write_glb(scene, glb);
}

}  // namespace espalier::infer
