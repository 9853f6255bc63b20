#include "train/gradient_checkpointing.h"

#include <c10/core/ScalarType.h>

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace espalier::train {
namespace {

constexpr double kKeptBytes = 16.0 * (int64_t{1} << 30);
// What a block keeps per token, in widths of the model: the inputs of its norms, linear layers and attentions, and the
// MLP's hidden layer before and after its activation.
constexpr double kKeptWidths = 20;

}  // namespace

Status check_gradient_checkpointing(const std::string& setting) {
  int64_t blocks = 0;
  if (setting == "auto" || setting == "all" || setting == "none") return absl::OkStatus();
  if (absl::SimpleAtoi(setting, &blocks) && blocks >= 1 && blocks <= 1000) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("gradient_checkpointing: '", setting, "' (allowed: auto, all, none, a number of blocks 1..1000)"));
}

int64_t recomputed_blocks(const std::string& setting, const nn::FlowConfig& denoiser, int64_t tokens) {
  if (setting == "all") return denoiser.num_blocks;
  if (setting == "none") return 0;
  if (setting != "auto") {
    int64_t blocks = 0;
    return absl::SimpleAtoi(setting, &blocks) ? std::min(blocks, denoiser.num_blocks) : 0;
  }
  const double widths = kKeptWidths + 2 * denoiser.mlp_ratio;
  const double bytes = static_cast<double>(tokens * denoiser.num_blocks * denoiser.model_channels) * widths *
                       static_cast<double>(c10::elementSize(denoiser.dtype));
  return bytes > kKeptBytes ? denoiser.num_blocks : 0;
}

}  // namespace espalier::train
