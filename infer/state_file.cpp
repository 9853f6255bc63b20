#include "infer/state_file.h"

#include <torch/types.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "infer/latent_cells.h"
#include "nn/io/safetensors.h"

namespace espalier::infer {
namespace {

using nn::SparseTensor;

constexpr const char* kVersionKey = "espalier.state";
constexpr const char* kVoxelsKey = "espalier.voxels";
constexpr const char* kVersion = "1";

// Where the digest of a decoder stands in the header.
struct DecoderKey {
  const char* header;
  const char* model;
};
constexpr DecoderKey kShape{"espalier.shape_decoder_sha256", "shape_slat_decoder"};
constexpr DecoderKey kTextureKey{"espalier.texture_decoder_sha256", "tex_slat_decoder"};

Status damaged(const std::string& what) { return absl::DataLossError("the stored state is damaged: " + what); }

Status check_decoder(const nn::SafetensorsFile& file, const DecoderKey& key, Networks& networks) {
  const auto recorded = file.metadata().find(key.header);
  if (recorded == file.metadata().end()) return damaged(absl::StrCat(key.header, " is missing"));
  const bool known = networks.base().has_model(key.model);
  ESP_ASSIGN(const std::string own, known ? networks.digest(key.model) : std::string());
  if (recorded->second == own) return absl::OkStatus();
  return absl::FailedPreconditionError("the state was made with another base model than the service runs now");
}

Result<int64_t> read_voxels(const nn::SafetensorsFile& file) {
  const auto found = file.metadata().find(kVoxelsKey);
  int voxels = 0;
  if (found == file.metadata().end() || !absl::SimpleAtoi(found->second, &voxels) || voxels < kCellVoxels ||
      voxels > kLargestGrid || voxels % kCellVoxels != 0) {
    return damaged("the grid's size");
  }
  return voxels;
}

// A tensor of the type and width it must have, in memory of its own.
Result<at::Tensor> read_rows(const nn::SafetensorsFile& file, const char* name, at::ScalarType type, int64_t width) {
  const auto tensor = file.tensor(name);
  if (!tensor.ok()) return damaged(std::string(tensor.status().message()));
  if (tensor->scalar_type() != type || tensor->dim() != 2 || tensor->size(1) != width) {
    return damaged(absl::StrCat(name, " has another type or shape"));
  }
  if (tensor->is_floating_point() && !tensor->isfinite().all().item<bool>()) {
    return damaged(absl::StrCat(name, " has numbers that are not finite"));
  }
  return tensor->clone();
}

Result<at::Tensor> read_cells(const nn::SafetensorsFile& file, int64_t voxels, int64_t token_limit) {
  ESP_ASSIGN(const at::Tensor coords, read_rows(file, "coords", torch::kInt32, 3));
  if (coords.size(0) > token_limit) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the state has ", coords.size(0), " tokens; at most ", token_limit, " are allowed"));
  }
  if (coords.size(0) == 0 || coords.min().item<int>() < 0 || coords.max().item<int>() >= voxels / kCellVoxels) {
    return damaged("coords");
  }
  const at::Tensor cells = at::constant_pad_nd(coords, {1, 0});
  if (has_repeated_cell(cells)) return damaged("a cell stands twice");
  return cells;
}

Result<SparseTensor> read_latent(const nn::SafetensorsFile& file, const char* name, const at::Tensor& cells,
                                 const NetworkSlot<nn::ScVaeDecoder>& decoder, c10::Device device) {
  ESP_ASSIGN(const auto network, decoder.shapes());
  ESP_ASSIGN(const at::Tensor feats, read_rows(file, name, torch::kFloat32, network->config().latent_channels));
  if (feats.size(0) != cells.size(0)) return damaged(absl::StrCat(name, " has another number of rows"));
  return SparseTensor::create(feats.to(device), cells.to(device), 1);
}

}  // namespace

Status write_state(const std::filesystem::path& file, const Latents& latents, int64_t sample, Networks& networks) {
  ESP_ASSIGN(const SparseTensor shape, single_sample(latents.shape.cells, sample));
  nn::TensorMap tensors = {{"coords", shape.coords.narrow(1, 1, 3)}, {"shape", shape.feats}};
  std::map<std::string, std::string> header = {{kVersionKey, kVersion},
                                               {kVoxelsKey, absl::StrCat(latents.shape.voxels)}};
  ESP_ASSIGN(header[kShape.header], networks.digest(kShape.model));
  if (latents.texture) {
    ESP_ASSIGN(const SparseTensor texture, single_sample(*latents.texture, sample));
    tensors["texture"] = texture.feats;
    ESP_ASSIGN(header[kTextureKey.header], networks.digest(kTextureKey.model));
  }
  return nn::write_safetensors(file, tensors, header);
}

Result<Latents> read_state(const std::filesystem::path& file, Networks& networks, int64_t token_limit) {
  ESP_ASSIGN(const nn::SafetensorsFile opened,
             nn::SafetensorsFile::open(file, {.header_bytes = nn::kAdapterHeaderBytes}));
  const auto version = opened.metadata().find(kVersionKey);
  if (version == opened.metadata().end() || version->second != kVersion) return damaged("its version");
  ESP_TRY(check_decoder(opened, kShape, networks));
  Latents latents;
  ESP_ASSIGN(latents.shape.voxels, read_voxels(opened));
  ESP_ASSIGN(const at::Tensor cells, read_cells(opened, latents.shape.voxels, token_limit));
  ESP_ASSIGN(latents.shape.cells, read_latent(opened, "shape", cells, networks.shape_decoder, networks.device()));
  if (!opened.contains("texture")) return latents;
  ESP_TRY(check_decoder(opened, kTextureKey, networks));
  ESP_ASSIGN(latents.texture, read_latent(opened, "texture", cells, networks.texture_decoder, networks.device()));
  return latents;
}

}  // namespace espalier::infer
