#include "infer/decode.h"

#include "infer/texture.h"

namespace espalier::infer {
namespace {

// Tells of samples done by the decoders, one after the other.
class DecodeProgress {
 public:
  DecodeProgress(int total, const StageHooks& hooks) : total_(total), hooks_(hooks) {}
  void one_more() {
    ++done_;
    if (hooks_.progress) hooks_.progress("decode", done_, total_);
  }

 private:
  int total_, done_ = 0;
  const StageHooks& hooks_;
};

Result<std::vector<DecodedShape>> decode_shapes(const ShapeLatent& latent, const Networks& networks,
                                                const StageHooks& hooks, DecodeProgress& progress) {
  ESP_ASSIGN(const auto decoder, networks.shape_decoder.get());
  std::vector<DecodedShape> shapes;
  for (int64_t i = 0; i < latent.cells.batch_size(); ++i) {
    ESP_TRY(hooks.check_stop());
    ESP_ASSIGN(shapes.emplace_back(), decode_shape(*decoder, latent, i));
    progress.one_more();
  }
  return shapes;
}

}  // namespace

Result<std::vector<DecodedShape>> decode(const Latents& latents, const Networks& networks, const StageHooks& hooks) {
  const auto samples = static_cast<int>(latents.shape.cells.batch_size());
  DecodeProgress progress(latents.texture ? 2 * samples : samples, hooks);
  ESP_ASSIGN(auto shapes, decode_shapes(latents.shape, networks, hooks, progress));
  if (latents.texture) {
    ESP_ASSIGN(const auto decoder, networks.texture_decoder.get());
    for (size_t i = 0; i < shapes.size(); ++i) {
      ESP_TRY(hooks.check_stop());
      ESP_ASSIGN(shapes[i].materials,
                 decode_texture(*decoder, *latents.texture, shapes[i].subdivision, static_cast<int64_t>(i)));
      progress.one_more();
    }
  }
  for (DecodedShape& shape : shapes) shape.subdivision.clear();
  return shapes;
}

}  // namespace espalier::infer
