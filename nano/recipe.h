#pragma once

#include <cstdint>
#include <filesystem>

#include "common/status.h"

// The steps that make the nano base, in order. Each reads what the ones before it left in the two folders, takes up an
// interrupted run where it stopped, and is free of torch in its interface.
//
//   corpus              objects, occupancies and views                    -> work/train, work/held, work/shapes
//   train_ss_vae        the sparse-structure VAE                          -> base/ckpts/ss_enc…, ss_dec…
//   train_encoder       the image encoder alone, on occupancy and colours -> work/encoder.safetensors
//   train_ss_flow       the denoiser, with the encoder trained along      -> base/ckpts/ss_flow…, base/image_encoder
//   train_shape_vae     the VAE of dual grids, on shapes of its own       -> base/ckpts/shape_enc…, shape_dec…
//   train_shape_flows   the denoisers of dual grids, of both tiers        -> base/ckpts/slat_flow_img2shape…
//   train_texture_vae   the VAE of materials, on those shapes painted     -> base/ckpts/tex_enc…, tex_dec…
//   train_texture_flow  the denoiser of materials, given the shapes       -> base/ckpts/slat_flow_imgshape2tex…
//   write_manifest      pipeline.json and espalier.json                   -> base
namespace espalier::nano {

struct Recipe {
  std::filesystem::path work = ".cache/nano";
  std::filesystem::path base = "models/nano";
  uint64_t seed = 20260101;
  int threads = 2;
  uint32_t objects = 1000;  // trained on
  uint32_t held = 100;      // judged by, of another seed
  int views = 12;           // per object
  uint32_t shapes = 3000;   // occupancies for the VAE
  int64_t vae_steps = 3000;
  int64_t encoder_steps = 800;
  int64_t flow_steps = 6500;    // at the full learning rate
  int64_t anneal_steps = 1200;  // of the flow, the rate falling to nothing
  uint32_t vae_grids = 800;     // voxel grids for each VAE of structured latents
  int64_t shape_vae_steps = 3000;
  int64_t shape_flow_steps = 1800;      // of the lower tier's denoiser
  int64_t shape_flow_high_steps = 350;  // of the higher tier's, which goes on from it
  int64_t texture_vae_steps = 1000;
  int64_t texture_flow_steps = 4000;
  uint32_t high_objects = 200;  // of those trained on, also rendered and encoded for the higher tier
};

// INVALID_ARGUMENT, UNAVAILABLE (disk), or what rendering and training report.
Status make_corpus(const Recipe& recipe);
Status train_ss_vae(const Recipe& recipe);
Status train_encoder(const Recipe& recipe);
Status train_ss_flow(const Recipe& recipe);
Status train_shape_vae(const Recipe& recipe);
Status train_shape_flows(const Recipe& recipe);
Status train_texture_vae(const Recipe& recipe);
Status train_texture_flow(const Recipe& recipe);
Status write_manifest(const Recipe& recipe);

// Prints the mean held-out IoU of the base in the folder, by family, beside the baselines.
Status report_held_out(const Recipe& recipe);

// Prints how well held-out objects survive the shape VAE, and how well they are generated from one picture, by tier.
Status report_shapes(const Recipe& recipe);

// Prints, as one JSON object, how well the textures of held-out objects survive the texture VAE, and how well they are
// generated from one picture and the object's own shape latent, beside baselines, by tier.
Status report_textures(const Recipe& recipe);

}  // namespace espalier::nano
