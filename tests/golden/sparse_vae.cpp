#include <torch/types.h>

#include "absl/strings/str_cat.h"
#include "nn/networks/sc_vae.h"
#include "nn/networks/voxel_channels.h"
#include "tests/golden/decoded_mesh.h"
#include "tests/golden/model_case.h"

namespace espalier::golden {
namespace {

using nn::ScVaeConfig;
using nn::SparseTensor;

Result<SparseTensor> sparse(const at::Tensor& feats, const at::Tensor& coords) {
  return SparseTensor::create(feats, coords, coords.select(1, 0).max().item<int64_t>() + 1);
}

// What the encoder takes, made from the bytes a dataset holds where the case has them.
at::Tensor encoder_input(const ModelCase& c, Report& report) {
  if (c.has("in.vertices_u8")) return nn::dual_grid_channels(c.io("in.vertices_u8"), c.io("in.intersected_u8"));
  if (c.has("in.attrs_u8")) c.compare(report, "in.x", nn::attribute_channels(c.io("in.attrs_u8")));
  return c.io("in.x");
}

Status compare_shape(const ModelCase& c, const SparseTensor& output, double voxel_margin, Report& report) {
  const auto grid = nn::decoded_dual_grid(output.feats, voxel_margin);
  c.compare(report, "out.dual_vertices", grid.vertices);
  c.compare(report, "out.intersected", grid.intersected);
  c.compare(report, "out.quad_lerp", grid.split_weight);
  for (int64_t b = 0; b < output.batch_size(); ++b) {
    const int64_t begin = output.offsets[b], count = output.offsets[b + 1] - begin;
    const auto of_sample = [&](const at::Tensor& rows) { return rows.narrow(0, begin, count); };
    const auto name = absl::StrCat("out.mesh.", b);
    ESP_TRY(compare_mesh(report, name, of_sample(output.coords).narrow(1, 1, 3),
                         {of_sample(grid.vertices), of_sample(grid.intersected), of_sample(grid.split_weight)},
                         c.args.at("resolution"), c.io(name + ".vertices"), c.io(name + ".faces")));
  }
  return absl::OkStatus();
}

}  // namespace

Status run_sparse_encoder(const ModelCase& c, Report& report) {
  ESP_ASSIGN(const auto config, ScVaeConfig::parse(c.args));
  ESP_ASSIGN(const auto encoder, nn::ScVaeEncoder::create(config, c.weights));
  ESP_ASSIGN(const auto x, sparse(encoder_input(c, report), c.io("in.coords")));
  const auto posterior = encoder->forward(x);
  c.compare(report, "out.z.feats", posterior.mean.feats);
  c.compare(report, "out.z.coords", posterior.mean.coords);
  c.compare_if(report, "out.logvar", posterior.log_variance);
  return absl::OkStatus();
}

Status run_sparse_decoder(const ModelCase& c, Report& report) {
  ESP_ASSIGN(const auto config, ScVaeConfig::parse(c.args));
  ESP_ASSIGN(const auto decoder, nn::ScVaeDecoder::create(config, c.weights));
  ESP_ASSIGN(const auto latent, sparse(c.io("in.z.feats"), c.io("in.coords")));
  std::vector<at::Tensor> guide;
  for (int64_t level = 0; c.has(absl::StrCat("in.guide_subs.", level, ".feats")); ++level) {
    guide.push_back(c.io(absl::StrCat("in.guide_subs.", level, ".feats")));
  }
  const auto decoded = decoder->forward(latent, guide);
  c.compare(report, "out.h.feats", decoded.voxels.feats);
  c.compare(report, "out.h.coords", decoded.voxels.coords);
  for (size_t level = 0; level < decoded.subdivisions.size(); ++level) {
    c.compare_if(report, absl::StrCat("out.subs.", level, ".feats"), decoded.subdivisions[level]);
    if (config.predicts_subdivision) {
      c.compare_if(report, absl::StrCat("out.subs.", level, ".coords"),
                   decoder->upsample(latent, static_cast<int64_t>(level)));
    }
  }
  if (c.has("out.upsample_coords_1")) {
    c.compare(report, "out.upsample_coords_1", decoder->upsample(latent, 1));
    c.compare(report, "out.upsample_coords_last", decoder->upsample(latent, config.levels() - 1));
  }
  if (c.has("out.dual_vertices")) ESP_TRY(compare_shape(c, decoded.voxels, config.voxel_margin, report));
  c.compare_if(report, "out.attrs", nn::decoded_attributes(decoded.voxels.feats));
  return absl::OkStatus();
}

}  // namespace espalier::golden
