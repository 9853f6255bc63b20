#include "preprocess/encoders.h"

#include <ATen/Parallel.h>
#include <torch/types.h>

#include <limits>
#include <new>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/sha256.h"
#include "nn/io/base_model.h"
#include "nn/io/load_model.h"
#include "nn/networks/voxel_channels.h"

namespace espalier::preprocess {
namespace {

constexpr const char* kStructureKey = "sparse_structure_encoder";
constexpr const char* kShapeKey = "shape_slat_encoder";
constexpr const char* kTextureKey = "tex_slat_encoder";
constexpr int64_t kVoxelChannels = 6;  // of nn::dual_grid_channels() and nn::attribute_channels()

Result<Checkpoint> checkpoint_of(const nn::BaseModel& base, const char* key) {
  ESP_ASSIGN(const nn::ModelFiles files, base.model_files(key));
  ESP_ASSIGN(std::string sha256, sha256_hex_of_file(files.weights));
  return Checkpoint{files.weights.stem().string(), std::move(sha256)};
}

nn::LoadOptions float32() {
  nn::LoadOptions options;
  options.dtype = at::kFloat;
  return options;
}

Status encoding_out_of_memory() {
  return absl::ResourceExhaustedError("OUT_OF_MEMORY: encoding needs too much memory");
}

// Runs an encoder without gradients; what torch throws ends here.
template <class Encode>
auto guarded(const char* what, Encode encode) -> decltype(encode()) {
  const at::NoGradGuard no_grad;
  try {
    return encode();
  } catch (const std::bad_alloc&) {
    return encoding_out_of_memory();
  } catch (const c10::OutOfMemoryError&) {
    return encoding_out_of_memory();
  } catch (const c10::Error& error) {
    const std::string message = error.what_without_backtrace();
    if (absl::StrContains(message, "can't allocate memory")) return encoding_out_of_memory();  // of the CPU's allocator
    return absl::InternalError(absl::StrCat("encoding the ", what, ": ", message));
  }
}

Result<std::vector<float>> finite_values(const at::Tensor& latent) {
  const at::Tensor values = latent.to(at::kFloat).contiguous();
  if (!at::isfinite(values).all().item<bool>())
    return absl::InvalidArgumentError("ENCODE_NONFINITE: the latent has values that are not finite");
  const float* data = values.data_ptr<float>();
  return std::vector<float>(data, data + values.numel());
}

// [M, channels] bytes of an attribute, on its memory.
Result<at::Tensor> bytes_of(const ovoxel::VoxelTable& table, const char* name, size_t channels) {
  const ovoxel::VoxelAttribute* found = table.attribute(name);
  if (found == nullptr || found->values.size() != channels * table.voxels.size())
    return absl::InvalidArgumentError(absl::StrCat("the voxels have no ", name, " of ", channels, " channels"));
  const std::vector<int64_t> shape = {static_cast<int64_t>(table.voxels.size()), static_cast<int64_t>(channels)};
  return torch::from_blob(const_cast<uint8_t*>(found->values.data()), shape, at::kByte);
}

// [M, 6] float32.
Result<at::Tensor> channels_of(const ovoxel::VoxelTable& table, VoxelContent content) {
  if (content == VoxelContent::kDualGrid) {
    ESP_ASSIGN(const at::Tensor vertices, bytes_of(table, "vertices", 3));
    ESP_ASSIGN(const at::Tensor intersected, bytes_of(table, "intersected", 1));
    return nn::dual_grid_channels(vertices, intersected);
  }
  std::vector<at::Tensor> attributes;
  for (const auto& [name, channels] : {std::pair{"base_color", 3}, {"metallic", 1}, {"roughness", 1}, {"alpha", 1}}) {
    ESP_ASSIGN(attributes.emplace_back(), bytes_of(table, name, static_cast<size_t>(channels)));
  }
  return nn::attribute_channels(at::cat(attributes, 1));
}

// [M, 4] int32: sample 0, x, y, z.
at::Tensor coords_of(const ovoxel::VoxelTable& table) {
  const auto rows = static_cast<int64_t>(table.voxels.size());
  const at::Tensor voxels = torch::from_blob(const_cast<ovoxel::Voxel*>(table.voxels.data()), {rows, 3}, at::kInt);
  return at::constant_pad_nd(voxels, {1, 0});
}

Result<std::vector<uint8_t>> cell_bytes(const at::Tensor& coords) {
  if (coords.max().item<int>() > std::numeric_limits<uint8_t>::max())
    return absl::InvalidArgumentError("there are more than 4096 voxels per side");
  const at::Tensor cells = coords.narrow(1, 1, 3).to(at::kByte).contiguous();
  const uint8_t* data = cells.data_ptr<uint8_t>();
  return std::vector<uint8_t>(data, data + cells.numel());
}

}  // namespace

struct StructureEncoder::Network {
  std::unique_ptr<nn::SparseStructureEncoder> encoder;
};

StructureEncoder::StructureEncoder(std::unique_ptr<Network> network, Checkpoint checkpoint)
    : network_(std::move(network)), checkpoint_(std::move(checkpoint)) {}
StructureEncoder::~StructureEncoder() = default;

Result<std::unique_ptr<StructureEncoder>> StructureEncoder::load(const nn::BaseModel& base) {
  ESP_ASSIGN(Checkpoint checkpoint, checkpoint_of(base, kStructureKey));
  auto network = std::make_unique<Network>();
  ESP_ASSIGN(network->encoder, nn::load_ss_encoder(base, float32()));
  return std::unique_ptr<StructureEncoder>(new StructureEncoder(std::move(network), std::move(checkpoint)));
}

Result<StructureLatent> StructureEncoder::encode(std::span<const uint8_t> occupancy, int side) const {
  return guarded("structure", [&]() -> Result<StructureLatent> {
    // [1, 1, side, side, side]
    const at::Tensor grid =
        torch::from_blob(const_cast<uint8_t*>(occupancy.data()), {1, 1, side, side, side}, at::kByte).to(at::kFloat);
    const at::Tensor mean = network_->encoder->forward(grid).mean;  // [1, C, r, r, r]
    ESP_ASSIGN(std::vector<float> z, finite_values(mean));
    return StructureLatent{std::move(z), static_cast<int>(mean.size(1)), static_cast<int>(mean.size(2))};
  });
}

struct VoxelEncoder::Network {
  std::unique_ptr<nn::ScVaeEncoder> encoder;
};

VoxelEncoder::VoxelEncoder(VoxelContent content, std::unique_ptr<Network> network, Checkpoint checkpoint)
    : content_(content), network_(std::move(network)), checkpoint_(std::move(checkpoint)) {}
VoxelEncoder::~VoxelEncoder() = default;

Result<std::unique_ptr<VoxelEncoder>> VoxelEncoder::load(const nn::BaseModel& base, VoxelContent content) {
  const char* const key = content == VoxelContent::kDualGrid ? kShapeKey : kTextureKey;
  ESP_ASSIGN(Checkpoint checkpoint, checkpoint_of(base, key));
  auto network = std::make_unique<Network>();
  ESP_ASSIGN(network->encoder, nn::load_sc_encoder(base, key, float32()));
  const nn::ScVaeConfig& config = network->encoder->config();
  const int64_t cell = int64_t{1} << (config.levels() - 1);
  if (config.io_channels != kVoxelChannels || cell != dataset::kVoxelsPerCell)
    return absl::InvalidArgumentError(absl::StrCat(key, ": takes ", config.io_channels, " channels and ", cell,
                                                   " voxels per cell; a voxel has ", kVoxelChannels, ", a cell ",
                                                   dataset::kVoxelsPerCell));
  return std::unique_ptr<VoxelEncoder>(new VoxelEncoder(content, std::move(network), std::move(checkpoint)));
}

Result<dataset::StructuredLatent> VoxelEncoder::encode(const ovoxel::VoxelTable& table) const {
  const char* const what = content_ == VoxelContent::kDualGrid ? "shape" : "texture";
  return guarded(what, [&]() -> Result<dataset::StructuredLatent> {
    ESP_ASSIGN(at::Tensor channels, channels_of(table, content_));
    ESP_ASSIGN(const nn::SparseTensor voxels, nn::SparseTensor::create(std::move(channels), coords_of(table), 1));
    const nn::SparseTensor mean = network_->encoder->forward(voxels).mean;
    dataset::StructuredLatent latent;
    ESP_ASSIGN(latent.feats, finite_values(mean.feats));
    ESP_ASSIGN(latent.coords, cell_bytes(mean.coords));
    latent.channels = static_cast<int>(mean.feats.size(1));
    return latent;
  });
}

// The finest level decides: coordinates, channels and neighbours, and the first block's input, normed input and output.
uint64_t VoxelEncoder::bytes_per_voxel() const {
  const auto channels = static_cast<uint64_t>(network_->encoder->config().model_channels.front());
  return 512 + 3 * channels * sizeof(float);
}

Result<Encoders> Encoders::load(const nn::BaseModel& base) {
  Encoders encoders;
  ESP_ASSIGN(encoders.structure, StructureEncoder::load(base));
  if (!base.has_model(kShapeKey)) return encoders;
  ESP_ASSIGN(encoders.shape, VoxelEncoder::load(base, VoxelContent::kDualGrid));
  if (!base.has_model(kTextureKey)) return encoders;
  ESP_ASSIGN(encoders.texture, VoxelEncoder::load(base, VoxelContent::kMaterial));
  return encoders;
}

NumericThreads::NumericThreads(int threads) : before_(at::get_num_threads()) { at::set_num_threads(threads); }
NumericThreads::~NumericThreads() { at::set_num_threads(before_); }

}  // namespace espalier::preprocess
