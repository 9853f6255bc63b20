#include "infer/matting_torchscript.h"

#include <torch/csrc/jit/serialization/import.h>
#include <torch/library.h>
#include <torch/types.h>

#include <mutex>
#include <optional>

#include "absl/strings/str_cat.h"
#include "image/matte.h"
#include "infer/deform_conv2d.h"

namespace espalier::infer {
namespace {

// The operator under torchvision's name and schema, so that exported files find it.
at::Tensor torchvision_deform_conv2d(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& offset,
                                     const at::Tensor& mask, const at::Tensor& bias, int64_t stride_h, int64_t stride_w,
                                     int64_t pad_h, int64_t pad_w, int64_t dilation_h, int64_t dilation_w,
                                     int64_t groups, int64_t offset_groups, bool use_mask) {
  const DeformConvShape shape{stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, groups, offset_groups};
  return deform_conv2d(input, weight, offset, use_mask ? mask : at::Tensor(), bias, shape);
}

TORCH_LIBRARY_FRAGMENT(torchvision, library) {
  library.def(
      "deform_conv2d(Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, int stride_h, int stride_w, "
      "int pad_h, int pad_w, int dilation_h, int dilation_w, int groups, int offset_groups, bool use_mask) -> Tensor",
      &torchvision_deform_conv2d);
}

// The tensor itself, or the last one of a list or tuple.
std::optional<at::Tensor> last_tensor(const c10::IValue& value) {
  if (value.isTensor()) return value.toTensor();
  if (value.isTensorList() && !value.toTensorVector().empty()) return value.toTensorVector().back();
  if (value.isTuple() && !value.toTupleRef().elements().empty())
    return last_tensor(value.toTupleRef().elements().back());
  if (value.isList() && !value.toListRef().empty()) return last_tensor(value.toListRef().back());
  return std::nullopt;
}

class TorchscriptMatting final : public image::Matting {
 public:
  TorchscriptMatting(torch::jit::Module network, c10::Device device) : network_(std::move(network)), device_(device) {}

  Result<image::Image> rgba(const image::Image& rgb) override {
    ESP_ASSIGN(std::vector<float> planes, image::matting_input(rgb));
    ESP_ASSIGN(const at::Tensor probability, run(planes));
    return image::apply_matte(rgb, {probability.const_data_ptr<float>(), static_cast<size_t>(probability.numel())},
                              static_cast<int>(probability.size(0)));
  }

 private:
  // [S, S] float32 on the CPU.
  Result<at::Tensor> run(std::vector<float>& planes) {
    try {
      const std::lock_guard lock(mutex_);
      const at::NoGradGuard no_gradients;
      const auto input =
          torch::from_blob(planes.data(), {1, 3, image::kMatteSide, image::kMatteSide}, torch::kFloat32).to(device_);
      const auto logits = last_tensor(network_.forward({input}));
      if (!logits || logits->dim() < 2 || logits->size(-1) != logits->size(-2) ||
          logits->numel() != logits->size(-1) * logits->size(-1)) {
        return absl::InternalError("the matting network did not return one square matte");
      }
      const int64_t side = logits->size(-1);
      return logits->sigmoid().to(torch::kCPU, torch::kFloat32).reshape({side, side}).contiguous();
    } catch (const std::exception& error) {
      return absl::InternalError(absl::StrCat("the matting network failed: ", error.what()));
    }
  }

  std::mutex mutex_;  // guards network_: one image at a time bounds the memory
  torch::jit::Module network_;
  c10::Device device_;
};

}  // namespace

Result<std::unique_ptr<image::Matting>> open_torchscript_matting(const std::filesystem::path& file,
                                                                 const std::string& device) {
  if (!std::filesystem::is_regular_file(file)) {
    return absl::NotFoundError(absl::StrCat("matting model ", file.string(), ": no such file"));
  }
  try {
    const c10::Device target(device);
    torch::jit::Module network = torch::jit::load(file.string(), target);
    network.eval();
    return std::make_unique<TorchscriptMatting>(std::move(network), target);
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(
        absl::StrCat("matting model ", file.string(), " is not a TorchScript file that can be loaded: ", error.what()));
  }
}

}  // namespace espalier::infer
