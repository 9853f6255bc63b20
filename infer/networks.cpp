#include "infer/networks.h"

#include <torch/types.h>

#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/sha256.h"

namespace espalier::infer {
namespace {

constexpr uintmax_t kResidentBytes = uintmax_t{2} << 30;  // of weight files, that "auto" keeps in memory
constexpr int kTiers[] = {512, 1024};
constexpr int64_t kLatentSplits = 4;  // of the decoders: 16 voxels per side of a latent cell
constexpr int64_t kDualGridChannels = 7, kMaterialChannels = 6, kEncodedGridChannels = 6;
constexpr int kStructureSide = 64;

constexpr const char* kStructureFlow = "sparse_structure_flow_model";
constexpr const char* kStructureDecoder = "sparse_structure_decoder";
constexpr const char* kShapeDecoder = "shape_slat_decoder";
constexpr const char* kTextureDecoder = "tex_slat_decoder";
constexpr const char* kShapeEncoder = "shape_slat_encoder";

Result<uintmax_t> bytes_of(const std::filesystem::path& file) {
  std::error_code error;
  const uintmax_t size = std::filesystem::file_size(file, error);
  if (error) return absl::NotFoundError(absl::StrCat(file.string(), ": ", error.message()));
  return size;
}

Status unfit(const std::string& what) { return absl::InvalidArgumentError("base model: " + what); }

template <class Slot>
Status keep_or_check(Slot& slot, bool keep) {
  return keep ? slot.keep() : slot.shapes().status();
}

}  // namespace

std::string shape_flow_key(int tier) { return absl::StrCat("shape_slat_flow_model_", tier); }

std::string texture_flow_key(int tier) { return absl::StrCat("tex_slat_flow_model_", tier); }

Networks::FlowSlots Networks::flow_slots(std::string (*key)(int tier), const nn::LoadOptions& options) const {
  FlowSlots slots;
  for (const int tier : kTiers) {
    if (!base_.has_model(key(tier))) continue;
    const auto load = [this, name = key(tier)](const nn::LoadOptions& how) {
      return nn::load_slat_flow(base_, name, how);
    };
    slots[tier] = {load, options};
  }
  return slots;
}

NetworkSlot<nn::ScVaeDecoder> Networks::decoder_slot(const char* key, const nn::LoadOptions& options) const {
  return {[this, key](const nn::LoadOptions& how) { return nn::load_sc_decoder(base_, key, how); }, options};
}

Status Networks::decide_memory() {
  if (options_.memory != "auto") {
    resident_ = options_.memory == "resident";
    if (resident_ || options_.memory == "low") return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("memory \"", options_.memory, "\" is not one of auto, resident, low"));
  }
  std::vector<std::string> keys{kStructureFlow, kStructureDecoder};
  for (const auto& [tier, flow] : shape_flows_) keys.push_back(shape_flow_key(tier));
  for (const auto& [tier, flow] : texture_flows_) keys.push_back(texture_flow_key(tier));
  if (has_shape()) keys.push_back(kShapeDecoder);
  if (!texture_flows_.empty()) keys.push_back(kTextureDecoder);
  ESP_ASSIGN(const auto encoder_folder, base_.image_encoder_folder());
  ESP_ASSIGN(uintmax_t bytes, bytes_of(encoder_folder / "model.safetensors"));
  for (const std::string& key : keys) {
    ESP_ASSIGN(const nn::ModelFiles files, base_.model_files(key));
    ESP_ASSIGN(const uintmax_t size, bytes_of(files.weights));
    bytes += size;
  }
  resident_ = bytes <= kResidentBytes;
  return absl::OkStatus();
}

// Every network is opened here once, also where it is loaded anew for each use: a base with a missing or unfitting file
// must fail at the start, not at the first request that needs it. Checks come after what they look at.
Status Networks::keep_or_check() {
  ESP_TRY(infer::keep_or_check(encoder, resident_));
  ESP_TRY(infer::keep_or_check(structure_flow, resident_));
  ESP_TRY(infer::keep_or_check(structure_decoder, resident_));
  if (!has_shape()) return absl::OkStatus();
  for (auto& [tier, flow] : shape_flows_) ESP_TRY(infer::keep_or_check(flow, resident_));
  ESP_TRY(infer::keep_or_check(shape_decoder, resident_));
  ESP_TRY(check_shape());
  if (texture_flows_.empty()) return absl::OkStatus();
  for (auto& [tier, flow] : texture_flows_) ESP_TRY(infer::keep_or_check(flow, resident_));
  ESP_TRY(infer::keep_or_check(texture_decoder, resident_));
  ESP_TRY(check_texture());
  return has_shape_encoder_ ? check_shape_encoder() : absl::OkStatus();
}

// That what one network gives is what the next one takes.
Status Networks::check_shape() const {
  ESP_ASSIGN(const auto decoder, shape_decoder.shapes());
  const nn::ScVaeConfig& config = decoder->config();
  if (config.levels() != kLatentSplits + 1 || config.io_channels != kDualGridChannels || !config.predicts_subdivision) {
    return unfit("shape_slat_decoder must have five levels, 7 output channels and predict its subdivision");
  }
  if (static_cast<int64_t>(base_.shape_slat_normalization().mean.size()) != config.latent_channels) {
    return unfit(absl::StrCat("pipeline.json: shape_slat_normalization must have ", config.latent_channels,
                              " channels, as shape_slat_decoder"));
  }
  ESP_ASSIGN(const auto structure, structure_flow.shapes());
  ESP_ASSIGN(const auto structure_decoder_shapes, structure_decoder.shapes());
  const int64_t side = structure->config().resolution << (structure_decoder_shapes->config().channels.size() - 1);
  if (side != std::llround(kStructureSide * base_.grid_scale())) {
    return unfit(
        absl::StrCat("the structure has ", side, " cells per side instead of ", kStructureSide, " times grid_scale"));
  }
  return check_flows(shape_flows_, shape_flow_key, config.latent_channels, config.latent_channels);
}

Status Networks::check_texture() const {
  ESP_ASSIGN(const auto decoder, texture_decoder.shapes());
  ESP_ASSIGN(const auto shape, shape_decoder.shapes());
  const nn::ScVaeConfig& config = decoder->config();
  if (config.levels() != kLatentSplits + 1 || config.io_channels != kMaterialChannels || config.predicts_subdivision) {
    return unfit("tex_slat_decoder must have five levels, 6 output channels and leave the subdivision to the shape's");
  }
  if (static_cast<int64_t>(base_.tex_slat_normalization().mean.size()) != config.latent_channels) {
    return unfit(absl::StrCat("pipeline.json: tex_slat_normalization must have ", config.latent_channels,
                              " channels, as tex_slat_decoder"));
  }
  return check_flows(texture_flows_, texture_flow_key, config.latent_channels + shape->config().latent_channels,
                     config.latent_channels);
}

Status Networks::check_shape_encoder() const {
  ESP_ASSIGN(const auto network, shape_encoder.shapes());
  ESP_ASSIGN(const auto decoder, shape_decoder.shapes());
  const nn::ScVaeConfig& config = network->config();
  if (config.levels() == kLatentSplits + 1 && config.io_channels == kEncodedGridChannels &&
      config.latent_channels == decoder->config().latent_channels) {
    return absl::OkStatus();
  }
  return unfit(absl::StrCat("shape_slat_encoder must have five levels, 6 input channels and the ",
                            decoder->config().latent_channels, " latent channels of shape_slat_decoder"));
}

Status Networks::check_flows(const FlowSlots& flows, std::string (*key)(int tier), int64_t in, int64_t out) const {
  ESP_ASSIGN(const auto structure, structure_flow.shapes());
  const int64_t condition = structure->config().cond_channels;
  for (const auto& [tier, slot] : flows) {
    ESP_ASSIGN(const auto flow, slot.shapes());
    const nn::FlowConfig& own = flow->config();
    if (own.in_channels == in && own.out_channels == out && own.cond_channels == condition) continue;
    return unfit(absl::StrCat(key(tier), " must take ", in, " channels and give ", out,
                              ", as the decoders have them, on the condition of the structure's flow"));
  }
  return absl::OkStatus();
}

Result<std::unique_ptr<Networks>> Networks::open(nn::BaseModel base, const NetworkOptions& options) {
  std::unique_ptr<Networks> networks(new Networks(std::move(base), options));
  const nn::BaseModel& own = networks->base_;
  const nn::LoadOptions wide{torch::kFloat32, options.device};
  const nn::LoadOptions flow{options.bfloat16 ? torch::kBFloat16 : torch::kFloat32, options.device};
  // Millions of voxels: an accelerator runs the decoder in its stored, narrow type.
  const nn::LoadOptions decoder = options.device.is_cpu() ? wide : nn::LoadOptions{std::nullopt, options.device};
  networks->encoder = {[&own](const nn::LoadOptions& how) { return nn::load_image_encoder(own, how); }, wide};
  networks->structure_flow = {[&own](const nn::LoadOptions& how) { return nn::load_ss_flow(own, how); }, flow};
  networks->structure_decoder = {[&own](const nn::LoadOptions& how) { return nn::load_ss_decoder(own, how); }, wide};
  if (own.has_model(kShapeDecoder)) {
    networks->shape_flows_ = networks->flow_slots(shape_flow_key, flow);
    networks->shape_decoder = networks->decoder_slot(kShapeDecoder, decoder);
  }
  if (networks->has_shape() && own.has_model(kTextureDecoder)) {
    networks->texture_flows_ = networks->flow_slots(texture_flow_key, flow);
    networks->texture_decoder = networks->decoder_slot(kTextureDecoder, decoder);
    networks->has_shape_encoder_ = own.has_model(kShapeEncoder);
    networks->shape_encoder = {
        [&own](const nn::LoadOptions& how) { return nn::load_sc_encoder(own, kShapeEncoder, how); }, wide};
  }
  ESP_TRY(networks->decide_memory());
  ESP_TRY(networks->keep_or_check());
  return networks;
}

bool Networks::can_run(const Pipeline& pipeline) const {
  const auto has = [&](int tier) { return shape_flows_.contains(tier); };
  return has(pipeline.tier) && (!pipeline.is_cascade() || has(pipeline.first_tier)) &&
         fits(scaled(pipeline, base_.grid_scale()), pipeline, base_.grid_scale());
}

Result<std::string> Networks::digest(const std::string& key) {
  const std::lock_guard lock(mutex_);
  std::string& digest = digests_[key];
  if (digest.empty()) {
    ESP_ASSIGN(const nn::ModelFiles files, base_.model_files(key));
    ESP_ASSIGN(digest, sha256_hex_of_file(files.weights));
  }
  return digest;
}

}  // namespace espalier::infer
