#include "preprocess/structure.h"

#include <ATen/Parallel.h>
#include <torch/types.h>

#include "absl/strings/str_cat.h"
#include "common/sha256.h"
#include "nn/io/base_model.h"
#include "nn/io/load_model.h"

namespace espalier::preprocess {

struct StructureEncoder::Network {
  std::unique_ptr<nn::SparseStructureEncoder> encoder;
};

StructureEncoder::StructureEncoder(std::unique_ptr<Network> network, std::string name, std::string sha256)
    : network_(std::move(network)), name_(std::move(name)), sha256_(std::move(sha256)) {}
StructureEncoder::~StructureEncoder() = default;

Result<std::unique_ptr<StructureEncoder>> StructureEncoder::load(const nn::BaseModel& base) {
  ESP_ASSIGN(const nn::ModelFiles files, base.model_files("sparse_structure_encoder"));
  ESP_ASSIGN(std::string sha256, sha256_hex_of_file(files.weights));
  auto network = std::make_unique<Network>();
  nn::LoadOptions options;
  options.dtype = at::kFloat;
  ESP_ASSIGN(network->encoder, nn::load_ss_encoder(base, options));
  return std::unique_ptr<StructureEncoder>(
      new StructureEncoder(std::move(network), files.weights.stem().string(), std::move(sha256)));
}

Result<StructureLatent> StructureEncoder::encode(std::span<const uint8_t> occupancy, int side) const {
  const at::NoGradGuard no_grad;
  try {
    // [1, 1, side, side, side]
    const at::Tensor grid =
        torch::from_blob(const_cast<uint8_t*>(occupancy.data()), {1, 1, side, side, side}, at::kByte).to(at::kFloat);
    const at::Tensor mean = network_->encoder->forward(grid).mean.to(at::kFloat).contiguous();  // [1, C, r, r, r]
    if (!at::isfinite(mean).all().item<bool>())
      return absl::InvalidArgumentError("ENCODE_NONFINITE: the latent has values that are not finite");
    const float* data = mean.data_ptr<float>();
    return StructureLatent{std::vector<float>(data, data + mean.numel()), static_cast<int>(mean.size(1)),
                           static_cast<int>(mean.size(2))};
  } catch (const c10::OutOfMemoryError&) {
    return absl::ResourceExhaustedError("OUT_OF_MEMORY: encoding the structure needs too much memory");
  } catch (const c10::Error& error) {
    return absl::InternalError(absl::StrCat("encoding the structure: ", error.what_without_backtrace()));
  }
}

NumericThreads::NumericThreads(int threads) : before_(at::get_num_threads()) { at::set_num_threads(threads); }
NumericThreads::~NumericThreads() { at::set_num_threads(before_); }

}  // namespace espalier::preprocess
