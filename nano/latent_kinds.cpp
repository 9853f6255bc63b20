#include "nano/latent_kinds.h"

#include <nlohmann/json.hpp>

#include "nano/architecture.h"
#include "nano/random_shapes.h"
#include "nn/networks/voxel_channels.h"

namespace espalier::nano {
namespace {

at::Tensor shape_channels(const at::Tensor& values) {
  return nn::dual_grid_channels(values.narrow(1, 0, 3), values.select(1, 3));
}

}  // namespace

const LatentKind kShape{
    .name = "shape",
    .seed = 30,
    .is_given_shape = false,
    .colors = Colors::kShuffled,
    .grid = shape_grid,
    .channels = shape_channels,
    .vae_scene = random_shape,
    .encoder = {"shape_slat_encoder", "ckpts/shape_enc_next_dc_f16c32_nano_fp16"},
    .decoder = {"shape_slat_decoder", "ckpts/shape_dec_next_dc_f16c32_nano_fp16"},
    .flows = {{{"shape_slat_flow_model_512", "ckpts/slat_flow_img2shape_dit_512_nano_fp16"},
               {"shape_slat_flow_model_1024", "ckpts/slat_flow_img2shape_dit_1024_nano_fp16"}}},
    .encoder_config = shape_encoder_config,
    .decoder_config = shape_decoder_config,
    .flow_config = shape_flow_config,
    .vae_steps = &Recipe::shape_vae_steps,
    .flow_steps = {&Recipe::shape_flow_steps, &Recipe::shape_flow_high_steps},
};

const LatentKind kTexture{
    .name = "texture",
    .seed = 50,
    .is_given_shape = true,
    .colors = Colors::kAsSeen,
    .grid = texture_grid,
    .channels = nn::attribute_channels,
    .vae_scene = random_painted_shape,
    .encoder = {"tex_slat_encoder", "ckpts/tex_enc_next_dc_f16c32_nano_fp16"},
    .decoder = {"tex_slat_decoder", "ckpts/tex_dec_next_dc_f16c32_nano_fp16"},
    .flows = {{{"tex_slat_flow_model_512", "ckpts/slat_flow_imgshape2tex_dit_nano_fp16"},
               {"tex_slat_flow_model_1024", "ckpts/slat_flow_imgshape2tex_dit_nano_fp16"}}},
    .encoder_config = texture_encoder_config,
    .decoder_config = texture_decoder_config,
    .flow_config = texture_flow_config,
    .vae_steps = &Recipe::texture_vae_steps,
    .flow_steps = {&Recipe::texture_flow_steps, nullptr},
};

}  // namespace espalier::nano
