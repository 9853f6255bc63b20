#include "nano/view_batch.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <torch/types.h>

#include <array>
#include <utility>
#include <vector>

#include "nano/architecture.h"

namespace espalier::nano {
namespace {

constexpr int64_t kPatches = kImageSize / 16;  // per side
constexpr int64_t kWidth = 128;                // of a token
constexpr int64_t kReadings = 4 * 4 * 3 + 2;

at::Tensor shuffled(const at::Tensor& picture, PhiloxStream& random) {
  std::array<int64_t, 3> order{0, 1, 2};
  for (uint32_t i = 2; i > 0; --i) std::swap(order[i], order[random.below(i + 1)]);
  return picture.index({at::tensor({order[0], order[1], order[2]})});
}

// [1, P * P, 2] rows and columns in [-1, 1].
at::Tensor patch_places() {
  const at::Tensor axis = (at::arange(kPatches) + 0.5) * (2.0 / kPatches) - 1;
  const at::Tensor rows = axis.unsqueeze(1).expand({kPatches, kPatches});
  const at::Tensor columns = axis.unsqueeze(0).expand({kPatches, kPatches});
  return at::stack({rows, columns}, 2).view({1, kPatches * kPatches, 2});
}

}  // namespace

ViewBatch draw_views(const Corpus& corpus, std::span<const train::SampleRef> samples, uint64_t seed, Colors colors) {
  ViewBatch batch;
  std::vector<at::Tensor> pictures;
  const auto views = static_cast<uint32_t>(corpus.images.size(1));
  for (const train::SampleRef& s : samples) {
    const int64_t view = train::random_stream(seed, train::Purpose::kView, s.step, s.slot).below(views);
    PhiloxStream random = train::random_stream(seed, train::Purpose::kAugment, s.step, s.slot);
    batch.mirrored.push_back(random.below(2) == 1);
    at::Tensor picture = corpus.images[s.item][view];
    if (colors == Colors::kShuffled) picture = shuffled(picture, random);
    pictures.push_back(batch.mirrored.back() ? picture.flip({2}) : picture);
  }
  batch.pixels = at::stack(pictures).to(at::kFloat) / 255;
  return batch;
}

nn::TensorMap init_patch_reader(uint64_t seed) {
  const at::Generator generator = at::detail::createCPUGenerator(seed);
  return {{"patch.weight", at::randn({kReadings, kWidth}, generator) / std::sqrt(static_cast<double>(kWidth))},
          {"patch.bias", at::zeros({kReadings})}};
}

at::Tensor patch_reading_loss(const nn::TensorMap& reader, const at::Tensor& tokens, const at::Tensor& pixels) {
  const at::Tensor patches = tokens.slice(1, kFirstPatchToken);
  const at::Tensor reading = at::linear(patches, reader.at("patch.weight"), reader.at("patch.bias"));
  const int64_t batch = pixels.size(0);
  // [B, 3, P, 4, P, 4] block colours -> [B, P * P, 3 * 4 * 4]
  const at::Tensor blocks = at::avg_pool2d(pixels, {4, 4})
                                .view({batch, 3, kPatches, 4, kPatches, 4})
                                .permute({0, 2, 4, 1, 3, 5})
                                .reshape({batch, kPatches * kPatches, 48});
  const at::Tensor places = patch_places().expand({batch, -1, -1});
  return (reading - at::cat({blocks, places}, 2)).square().mean();
}

}  // namespace espalier::nano
