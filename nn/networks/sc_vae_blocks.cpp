#include "nn/networks/sc_vae_blocks.h"

#include <torch/types.h>

#include "nn/layers/by_rows.h"
#include "nn/layers/norm.h"
#include "nn/sparse/ops.h"

namespace espalier::nn {
namespace {

constexpr int64_t kSlots = 8;
constexpr int64_t kMlpRatio = 4;

struct Conv {
  at::Tensor weight, bias;

  Conv(const TensorMap& parameters, const std::string& name)
      : weight(parameters.at(name + ".weight")), bias(parameters.at(name + ".bias")) {}
  SparseTensor forward(const SparseTensor& x) const { return submanifold_conv(x, weight, bias); }
};

struct Norm {
  at::Tensor weight, bias;  // undefined: no affine

  Norm() = default;
  Norm(const TensorMap& parameters, const std::string& name)
      : weight(parameters.at(name + ".weight")), bias(parameters.at(name + ".bias")) {}
  at::Tensor forward(const at::Tensor& x) const { return layer_norm(x, weight, bias, kBlockNormEps); }
};

Linear linear(const TensorMap& parameters, const std::string& name) {
  return {parameters.at(name + ".weight"), parameters.at(name + ".bias")};
}

SparseTensor normed_silu(const SparseTensor& x, const Norm& norm) {
  return x.with(by_rows(x.feats, [&](const at::Tensor& rows) { return at::silu(norm.forward(rows)); }));
}

class ConvNext : public ScVaeBlock {
 public:
  ConvNext(const ScVaeStage& stage, const TensorMap& parameters)
      : conv_(parameters, stage.prefix + "conv"),
        norm_(parameters, stage.prefix + "norm"),
        wide_(linear(parameters, stage.prefix + "mlp.0")),
        narrow_(linear(parameters, stage.prefix + "mlp.2")) {}

  SparseTensor forward(const SparseTensor& x, Subdivision&) const override {
    const at::Tensor h = by_rows(conv_.forward(x).feats, [&](const at::Tensor& rows) {
      return narrow_.forward(at::silu(wide_.forward(norm_.forward(rows))));
    });
    return x.with(h + x.feats);
  }

 private:
  Conv conv_;
  Norm norm_;
  Linear wide_, narrow_;
};

// What the resampling blocks share: norm1 -> SiLU -> conv1 around the resampling, then norm2 -> SiLU -> conv2.
class Resampler : public ScVaeBlock {
 public:
  Resampler(const ScVaeStage& stage, const TensorMap& parameters)
      : stage_(stage),
        norm1_(parameters, stage.prefix + "norm1"),
        conv1_(parameters, stage.prefix + "conv1"),
        conv2_(parameters, stage.prefix + "conv2") {
    const auto skip = stage.prefix + "skip_connection";
    if (parameters.count(skip + ".weight")) skip_ = linear(parameters, skip);
  }

 protected:
  // `resample` moves features to the other level.
  template <class Resample>
  SparseTensor run(const SparseTensor& x, Resample resample) const {
    const bool channels = stage_.resampling == Resampling::kChannels;
    SparseTensor h = normed_silu(x, norm1_);
    if (channels) h = conv1_.forward(h);
    h = resample(h.feats);
    if (!channels) h = conv1_.forward(h);
    h = conv2_.forward(normed_silu(h, Norm()));
    return h.with(h.feats + shortcut(resample(x.feats).feats));
  }

 private:
  at::Tensor shortcut(const at::Tensor& resampled) const {
    const int64_t rows = resampled.size(0), width = resampled.size(1), out = stage_.out;
    if (stage_.resampling == Resampling::kPooling) return skip_.weight.defined() ? skip_.forward(resampled) : resampled;
    if (stage_.kind == ScVaeStage::Kind::kUp) return resampled.repeat_interleave(out / width, 1);
    return resampled.view({rows, out, width / out}).mean(-1);
  }

  ScVaeStage stage_;
  Norm norm1_;
  Conv conv1_, conv2_;
  Linear skip_;  // no weight: identity
};

class Down : public Resampler {
 public:
  Down(const ScVaeStage& stage, const TensorMap& parameters)
      : Resampler(stage, parameters), channels_(stage.resampling == Resampling::kChannels) {}

  SparseTensor forward(const SparseTensor& x, Subdivision&) const override {
    const ParentMap map = parent_map(x);
    return run(
        x, [&](const at::Tensor& feats) { return channels_ ? space_to_channel(feats, map) : mean_pool(feats, map); });
  }

 private:
  bool channels_;
};

class Up : public Resampler {
 public:
  Up(const ScVaeStage& stage, const TensorMap& parameters)
      : Resampler(stage, parameters), channels_(stage.resampling == Resampling::kChannels) {
    if (stage.predicts) to_subdivision_ = linear(parameters, stage.prefix + "to_subdiv");
  }

  SparseTensor forward(const SparseTensor& x, Subdivision& subdivision) const override {
    if (to_subdivision_.weight.defined()) subdivision.logits = to_subdivision_.forward(x.feats);
    const at::Tensor& decision = subdivision.guide.defined() ? subdivision.guide : subdivision.logits;
    TORCH_CHECK(decision.defined(), "a decoder that predicts no subdivision must be guided");
    const ChildMap map = child_map(x, decision > 0);
    return run(x, [&](const at::Tensor& feats) {
      return channels_ ? channel_to_space(feats, map) : nearest_upsample(feats, map);
    });
  }

 private:
  bool channels_;
  Linear to_subdivision_;
};

struct SpecList {
  std::vector<ParameterSpec> specs;
  const std::string& prefix;
  at::ScalarType dtype;

  void add(const std::string& name, std::vector<int64_t> weight, at::ScalarType type) {
    const int64_t out = weight.front();
    specs.push_back({prefix + name + ".weight", std::move(weight), type});
    specs.push_back({prefix + name + ".bias", {out}, type});
  }
  void norm(const std::string& name, int64_t channels) { add(name, {channels}, at::kFloat); }
  void conv(const std::string& name, int64_t out, int64_t in) { add(name, {out, 3, 3, 3, in}, dtype); }
  void linear(const std::string& name, int64_t out, int64_t in) { add(name, {out, in}, dtype); }
};

}  // namespace

std::vector<ParameterSpec> stage_specs(const ScVaeStage& stage, at::ScalarType dtype) {
  SpecList list{{}, stage.prefix, dtype};
  if (stage.kind == ScVaeStage::Kind::kConvNext) {
    list.norm("norm", stage.in);
    list.conv("conv", stage.out, stage.in);
    list.linear("mlp.0", kMlpRatio * stage.in, stage.in);
    list.linear("mlp.2", stage.out, kMlpRatio * stage.in);
    return list.specs;
  }
  const bool channels = stage.resampling == Resampling::kChannels, up = stage.kind == ScVaeStage::Kind::kUp;
  list.norm("norm1", stage.in);
  list.conv("conv1", !channels ? stage.out : up ? stage.out * kSlots : stage.out / kSlots, stage.in);
  list.conv("conv2", stage.out, stage.out);
  if (!channels && stage.in != stage.out) list.linear("skip_connection", stage.out, stage.in);
  if (stage.predicts) list.linear("to_subdiv", kSlots, stage.in);
  return list.specs;
}

std::unique_ptr<ScVaeBlock> make_block(const ScVaeStage& stage, const TensorMap& parameters) {
  switch (stage.kind) {
    case ScVaeStage::Kind::kConvNext:
      return std::make_unique<ConvNext>(stage, parameters);
    case ScVaeStage::Kind::kDown:
      return std::make_unique<Down>(stage, parameters);
    case ScVaeStage::Kind::kUp:
      return std::make_unique<Up>(stage, parameters);
  }
  TORCH_CHECK(false, "unknown block");
}

}  // namespace espalier::nn
