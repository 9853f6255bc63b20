#include <ATen/core/dispatch/Dispatcher.h>
#include <gmock/gmock.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/types.h>

#include "common/files.h"
#include "infer/deform_conv2d.h"
#include "infer/engine.h"
#include "infer/matting_torchscript.h"
#include "tests/infer_support/tiny_base.h"

namespace espalier::infer {
namespace {

using ::testing::HasSubstr;

std::filesystem::path save_network(const TempDir& folder, const std::string& name, const std::string& source) {
  torch::jit::Module network(name);
  network.define(source);
  const auto file = folder.path() / (name + ".pt");
  network.save(file.string());
  return file;
}

// Dark pixels are foreground.
constexpr const char* kDarkIsForeground = R"(
def forward(self, x):
    return [x, (1.0 - x.mean(1, True)) * 20.0]
)";

image::Image dark_square() {
  image::Image image{32, 32, 3, std::vector<uint8_t>(32 * 32 * 3, 255)};
  for (int y = 8; y < 24; ++y) std::fill(image.at(8, y), image.at(24, y), 10);
  return image;
}

TEST(TorchscriptMatting, UsesTheLastOutputAsLogits) {
  const auto folder = *TempDir::create();
  const auto matting = open_torchscript_matting(save_network(folder, "dark", kDarkIsForeground), "cpu");
  ASSERT_TRUE(matting.ok()) << matting.status();
  const auto got = (*matting)->rgba(dark_square());
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->at(16, 16)[3], 255);
  EXPECT_EQ(got->at(2, 2)[3], 0);
  EXPECT_EQ(got->at(2, 2)[0], 255) << "colours are kept";
}

// Exported networks find the operator by this name and this order of arguments.
TEST(TorchscriptMatting, ProvidesTheDeformableConvolutionUnderTorchvisionsName) {
  const auto folder = *TempDir::create();
  ASSERT_TRUE(open_torchscript_matting(save_network(folder, "dark", kDarkIsForeground), "cpu").ok());
  const auto op = c10::Dispatcher::singleton().findSchema({"torchvision::deform_conv2d", ""});
  ASSERT_TRUE(op.has_value());
  const auto input = torch::randn({1, 2, 6, 6}), weight = torch::randn({3, 2, 3, 3}), bias = torch::randn({3});
  const auto want = torch::conv2d(input, weight, bias, {2, 1}, {1, 0});
  torch::jit::Stack stack{input,
                          weight,
                          torch::zeros({1, 18, want.size(2), want.size(3)}),
                          torch::zeros({0}),  // no mask
                          bias,
                          int64_t{2},
                          int64_t{1},
                          int64_t{1},
                          int64_t{0},
                          int64_t{1},
                          int64_t{1},
                          int64_t{1},
                          int64_t{1},
                          false};
  op->callBoxed(stack);
  EXPECT_LT((stack.front().toTensor() - want).abs().max().item<double>(), 1e-5);
}

TEST(TorchscriptMatting, SaysWhatIsWrongWithAFile) {
  const auto folder = *TempDir::create();
  EXPECT_EQ(open_torchscript_matting(folder.path() / "none.pt", "cpu").status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(write_file_atomic(folder.path() / "text.pt", "not a network").ok());
  EXPECT_EQ(open_torchscript_matting(folder.path() / "text.pt", "cpu").status().code(),
            absl::StatusCode::kInvalidArgument);
  const auto odd =
      open_torchscript_matting(save_network(folder, "odd", "def forward(self, x):\n    return 3\n"), "cpu");
  ASSERT_TRUE(odd.ok());
  EXPECT_EQ((*odd)->rgba(dark_square()).status().code(), absl::StatusCode::kInternal);
}

TEST(Engine, UsesTheConfiguredMattingModelForOpaqueImages) {
  const auto folder = *TempDir::create();
  ASSERT_TRUE(write_tiny_base(folder.path() / "base"));
  EngineOptions options;
  options.base = folder.path() / "base";
  options.matting_model = save_network(folder, "dark", kDarkIsForeground);
  const auto engine = Engine::open(options);
  ASSERT_TRUE(engine.ok()) << engine.status();
  GenerateRequest request;
  request.image = opaque_picture();
  request.seed = 1;
  const auto assets = (*engine)->generate(request);
  EXPECT_TRUE(assets.ok()) << assets.status();
  options.matting_model = folder.path() / "none.pt";
  EXPECT_THAT(std::string(Engine::open(options).status().message()), HasSubstr("none.pt"));
}

TEST(DeformConv2d, EqualsAPlainConvolutionWithoutOffsets) {
  const auto input = torch::randn({2, 4, 9, 7}), weight = torch::randn({6, 2, 3, 3}), bias = torch::randn({6});
  const auto want = torch::conv2d(input, weight, bias, {2, 1}, {1, 2}, {1, 2}, 2);
  const auto offset = torch::zeros({2, 18, want.size(2), want.size(3)});
  const auto got = deform_conv2d(input, weight, offset, {}, bias, {2, 1, 1, 2, 1, 2, 2, 1});
  ASSERT_EQ(got.sizes(), want.sizes());
  EXPECT_LT((got - want).abs().max().item<double>(), 1e-5);
}

TEST(DeformConv2d, SamplesBetweenPixelsAndScalesByTheMask) {
  const auto input = torch::tensor({0.f, 1.f, 2.f, 3.f}).reshape({1, 1, 1, 4});
  const auto weight = torch::ones({1, 1, 1, 1});
  auto offset = torch::zeros({1, 2, 1, 4});
  offset.select(1, 1).fill_(0.25);  // to the right
  const auto mask = torch::full({1, 1, 1, 4}, 0.5);
  const auto got = deform_conv2d(input, weight, offset, mask, {}, {}).flatten();
  const auto want = torch::tensor({0.125f, 0.625f, 1.125f, 3 * 0.75f * 0.5f});  // zero beyond the border
  EXPECT_LT((got - want).abs().max().item<double>(), 1e-6);
}

TEST(DeformConv2d, KeepsOffsetGroupsApart) {
  const auto input = torch::randn({1, 4, 5, 5}), weight = torch::eye(4).reshape({4, 4, 1, 1});
  auto offset = torch::zeros({1, 4, 5, 5});
  offset.select(1, 2).fill_(1);  // the second group looks one row further down
  const auto got = deform_conv2d(input, weight, offset, {}, {}, {1, 1, 0, 0, 1, 1, 1, 2});
  EXPECT_LT((got.slice(1, 0, 2) - input.slice(1, 0, 2)).abs().max().item<double>(), 1e-5);
  EXPECT_LT((got.slice(1, 2).slice(2, 0, 4) - input.slice(1, 2).slice(2, 1)).abs().max().item<double>(), 1e-5);
}

}  // namespace
}  // namespace espalier::infer
