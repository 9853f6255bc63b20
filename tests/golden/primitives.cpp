#include <torch/types.h>

#include "nn/layers/dense3d.h"
#include "nn/layers/norm.h"
#include "nn/layers/position.h"
#include "nn/sparse/ops.h"
#include "tests/golden/model_case.h"

namespace espalier::golden {
namespace {

using nn::SparseTensor;

int64_t samples(const at::Tensor& coords) { return coords.select(1, 0).max().item<int64_t>() + 1; }

void run_embeddings(const ModelCase& c, Report& report) {
  c.compare(report, "out.timestep_embedding", nn::timestep_embedding(c.io("in.t")));
  const at::Tensor& x = c.io("in.rope.x");  // [N, H, d]
  const at::Tensor phases = nn::rope_phases(c.io("in.rope.coords"), x.size(-1), 1, 10000);
  c.compare(report, "out.rope.phases", at::view_as_real(phases));
  c.compare(report, "out.rope.y", nn::apply_rope(x, phases.unsqueeze(1)));
  c.compare(report, "out.rms.y", nn::head_rms_norm(x, c.io("in.rms.gamma")));
  const int64_t channels = c.io("out.ape").size(-1);
  c.compare(report, "out.ape", nn::absolute_position_embedding(c.io("in.rope.coords"), channels));
  c.compare(report, "out.gelu_tanh", at::gelu(c.io("in.gelu"), "tanh"));
  c.compare(report, "out.ps3d", nn::pixel_shuffle_3d(c.io("in.ps3d")));
}

Status run_down(const ModelCase& c, Report& report) {
  const at::Tensor& coords = c.io("in.conv.coords");
  ESP_ASSIGN(const auto x, SparseTensor::create(c.io("in.conv.feats"), coords, samples(coords)));
  c.compare(report, "out.conv.feats",
            nn::submanifold_conv(x.feats, nn::neighbour_map(x), c.io("in.conv.weight"), c.io("in.conv.bias")));
  const auto map = nn::parent_map(x);
  const auto stacked = nn::space_to_channel(x.feats, map), pooled = nn::mean_pool(x.feats, map);
  c.compare(report, "out.s2c.feats", stacked.feats);
  c.compare(report, "out.s2c.coords", stacked.coords);
  c.compare(report, "out.meanpool.feats", pooled.feats);
  c.compare(report, "out.meanpool.coords", pooled.coords);
  return absl::OkStatus();
}

Status run_up(const ModelCase& c, Report& report) {
  const at::Tensor& coords = c.io("in.c2s.coords");
  ESP_ASSIGN(const auto x, SparseTensor::create(c.io("in.c2s.feats"), coords, samples(coords)));
  const auto map = nn::child_map(x, c.io("in.c2s.subdivision").to(at::kBool));
  const auto split = nn::channel_to_space(x.feats, map), copied = nn::nearest_upsample(x.feats, map);
  c.compare(report, "out.c2s.feats", split.feats);
  c.compare(report, "out.c2s.coords", split.coords);
  c.compare(report, "out.nearest.feats", copied.feats);
  c.compare(report, "out.nearest.coords", copied.coords);
  return absl::OkStatus();
}

}  // namespace

Status run_primitives(const ModelCase& c, Report& report) {
  run_embeddings(c, report);
  ESP_TRY(run_down(c, report));
  return run_up(c, report);
}

}  // namespace espalier::golden
