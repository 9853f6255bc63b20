#include <torch/types.h>

#include "common/files.h"
#include "image/codec.h"
#include "image/condition_image.h"
#include "image/foreground.h"
#include "image/matte.h"
#include "image/resample.h"
#include "nn/io/safetensors.h"
#include "tests/golden/golden.h"

// Preparation of the request's image, against Pillow and torchvision: bytes must be equal.
namespace espalier::golden {
namespace {

constexpr double kFloatTolerance = 1e-6;

Result<image::Image> load_png(const Case& c, const std::string& name) {
  ESP_ASSIGN(const std::string bytes, read_file(c.folder / name));
  ESP_ASSIGN(image::DecodedImage decoded, image::decode(bytes, {.max_bytes = uint64_t{1} << 30, .max_side = 16384}));
  return std::move(decoded.image);
}

at::Tensor as_tensor(const image::Image& image) {
  return torch::from_blob(const_cast<uint8_t*>(image.pixels.data()), {image.height, image.width, image.channels},
                          torch::kUInt8)
      .clone();
}

// [3, side, side] float planes at the sampled rows and columns.
at::Tensor sampled(const std::vector<float>& planes, int64_t side, const nlohmann::json& index) {
  const auto at = torch::tensor(index.get<std::vector<int64_t>>());
  const auto full = torch::from_blob(const_cast<float*>(planes.data()), {3, side, side}, torch::kFloat32);
  return full.index_select(1, at).index_select(2, at);
}

Status compare_png(const Case& c, Report& report, const std::string& name, const image::Image& got) {
  ESP_ASSIGN(const image::Image want, load_png(c, name));
  report.compare(name, as_tensor(got), as_tensor(want), 0, 0);
  return absl::OkStatus();
}

// The matting network of a case: its logits are given, its input and result are compared.
class RecordedMatting final : public image::Matting {
 public:
  RecordedMatting(const Case& c, Report& report) : case_(c), report_(report) {}

  Result<image::Image> rgba(const image::Image& rgb) override {
    ESP_ASSIGN(const auto file, nn::SafetensorsFile::open(case_.folder / "tensors.safetensors"));
    ESP_ASSIGN(const std::vector<float> input, image::matting_input(rgb));
    ESP_ASSIGN(const at::Tensor want, file.tensor("net_input_sample"));
    report_.compare("net_input_sample",
                    sampled(input, image::kMatteSide, case_.description.at("net_input_sample_index")), want,
                    kFloatTolerance, 0);
    ESP_ASSIGN(const at::Tensor logits, file.tensor("logits"));
    const auto probability = logits.sigmoid().contiguous();
    ESP_ASSIGN(image::Image matte,
               image::apply_matte(rgb, {probability.data_ptr<float>(), static_cast<size_t>(probability.numel())},
                                  static_cast<int>(probability.size(-1))));
    ESP_ASSIGN(const image::Image alpha, load_png(case_, "matte.png"));
    report_.compare("matte.png", as_tensor(matte).slice(2, 3), as_tensor(alpha), 0, 0);
    return matte;
  }

 private:
  const Case& case_;
  Report& report_;
};

Status run_preprocess(const Case& c, Report& report) {
  ESP_ASSIGN(const image::Image input, load_png(c, "input.png"));
  RecordedMatting matting(c, report);
  const bool matted = c.description.at("kind") == "preprocess_matte";
  const auto output = image::preprocess_image(input, image::BackgroundRemoval::kAuto, matted ? &matting : nullptr);
  if (c.description.contains("error")) {
    report.expect("is refused", !output.ok());
    return absl::OkStatus();
  }
  ESP_TRY(output.status());
  return compare_png(c, report, "output.png", *output);
}

Status run_dino_input(const Case& c, Report& report) {
  const int side = c.description.at("image_size");
  ESP_ASSIGN(const image::Image input, load_png(c, "input.png"));
  const image::Image rgb = image::to_rgb(input);
  ESP_ASSIGN(const image::Image resized, image::resize(rgb, side, side, image::Filter::kLanczos));
  ESP_TRY(compare_png(c, report, "resized.png", resized));
  ESP_ASSIGN(std::vector<float> planes, image::inference_condition_image(rgb, side));
  image::normalise_imagenet(planes);
  ESP_ASSIGN(const auto file, nn::SafetensorsFile::open(c.folder / "tensors.safetensors"));
  ESP_ASSIGN(const at::Tensor want, file.tensor("normalized_sample"));
  report.compare("normalized_sample", sampled(planes, side, c.description.at("sample_index")), want, kFloatTolerance,
                 0);
  return absl::OkStatus();
}

}  // namespace

Status run_imgprep_case(const Case& c, Report& report) {
  const std::string kind = c.description.at("kind");
  if (kind == "preprocess_rgba" || kind == "preprocess_matte") return run_preprocess(c, report);
  if (kind == "dino_input") return run_dino_input(c, report);
  return absl::UnimplementedError("no replay for image cases of kind " + kind);
}

}  // namespace espalier::golden
