#include "infer/texture.h"

#include <torch/types.h>

#include "infer/tensor_rows.h"
#include "nn/networks/voxel_channels.h"

namespace espalier::infer {

using nn::SparseTensor;

Result<SparseTensor> sample_texture(nn::SLatFlow& flow, const SparseTensor& shape, const at::Tensor& condition,
                                    const TextureSettings& settings, const std::vector<LoadedAdapter>& adapters,
                                    const Noise& noise, const StageHooks& hooks) {
  const LatentPass pass{"texture",       settings.samples, condition,
                        settings.params, settings.texture, normalised(shape.feats, settings.shape)};
  return sample_latent(flow, shape.coords, pass, adapters, noise, hooks);
}

Result<std::vector<VoxelMaterial>> decode_texture(const nn::ScVaeDecoder& decoder, const SparseTensor& texture,
                                                  const std::vector<at::Tensor>& subdivision, int64_t sample) {
  ESP_ASSIGN(const SparseTensor cells, single_sample(texture, sample));
  const at::Tensor materials = nn::decoded_attributes(decoder.forward(cells, subdivision).voxels.feats);
  if (!materials.isfinite().all().item<bool>()) {
    return absl::FailedPreconditionError(
        "the texture came out with numbers that are not finite; try a smaller adapter scale or guidance strength");
  }
  return rows_of<float, 6>(materials);
}

}  // namespace espalier::infer
