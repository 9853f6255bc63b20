#include "infer/server/request_reader.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "infer/server/message_values.h"

namespace espalier::infer {
namespace {

constexpr size_t kMaxRequestId = 64;
constexpr size_t kMaxInlineBytes = size_t{48} << 20;

bool is_request_id(const std::string& text) {
  return text.size() <= kMaxRequestId && std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return absl::ascii_isalnum(c) || c == '_' || c == '-';
         });
}

image::BackgroundRemoval background_of(v1::BackgroundRemoval value, std::vector<Fault>& faults) {
  switch (value) {
    case v1::BACKGROUND_REMOVAL_UNSPECIFIED:
      return image::BackgroundRemoval::kAuto;
    case v1::BACKGROUND_REMOVAL_NONE:
      return image::BackgroundRemoval::kNone;
    case v1::BACKGROUND_REMOVAL_KEYER:
      return image::BackgroundRemoval::kKeyer;
    case v1::BACKGROUND_REMOVAL_MODEL:
      return image::BackgroundRemoval::kModel;
    default:
      faults.push_back({"background_removal", absl::StrCat(static_cast<int>(value), " is not a known value")});
      return image::BackgroundRemoval::kAuto;
  }
}

SamplerOverrides overrides_of(const v1::SamplerOptions& options) {
  SamplerOverrides overrides;
  if (options.has_steps()) overrides.steps = options.steps();
  if (options.has_guidance_strength()) overrides.guidance_strength = options.guidance_strength();
  if (options.has_guidance_rescale()) overrides.guidance_rescale = options.guidance_rescale();
  if (options.has_guidance_interval_start()) overrides.interval_start = options.guidance_interval_start();
  if (options.has_guidance_interval_end()) overrides.interval_end = options.guidance_interval_end();
  if (options.has_rescale_t()) overrides.rescale_t = options.rescale_t();
  return overrides;
}

Result<LastStage> last_stage_of(v1::Denoiser stop_after, std::vector<Fault>& faults) {
  switch (stop_after) {
    case v1::DENOISER_UNSPECIFIED:
      return LastStage::kAny;
    case v1::DENOISER_SPARSE_STRUCTURE:
      return LastStage::kStructure;
    case v1::DENOISER_GEOMETRY:
      return LastStage::kShape;
    case v1::DENOISER_TEXTURE:
      return absl::FailedPreconditionError("stop_after: this server generates shapes without texture");
    default:
      faults.push_back({"stop_after", absl::StrCat(static_cast<int>(stop_after), " is not a known value")});
      return LastStage::kAny;
  }
}

void read_formats(const v1::GenerateRequest& message, GenerateRequest& request, std::vector<Fault>& faults) {
  std::vector<FileFormat> formats;
  for (int i = 0; i < message.formats_size(); ++i) {
    if (const auto format = from_message(message.formats(i))) {
      formats.push_back(*format);
    } else {
      faults.push_back(
          {absl::StrCat("formats[", i, "]"), absl::StrCat(static_cast<int>(message.formats(i)), " is not a format")});
    }
  }
  // With one missing the places of the others would not be those of the message.
  if (!formats.empty() && static_cast<int>(formats.size()) == message.formats_size()) request.formats = formats;
}

void read_shape(const v1::GenerateRequest& message, GenerateRequest& request, std::vector<Fault>& faults) {
  if (const auto pipeline = from_message(message.pipeline_type())) {
    request.pipeline = *pipeline;
  } else {
    faults.push_back({"pipeline_type", absl::StrCat(static_cast<int>(message.pipeline_type()), " is not a pipeline")});
  }
  if (message.has_resolution()) {
    request.resolution = message.resolution();
    if (request.resolution == 0)
      faults.push_back({"resolution", "0 is not a resolution; leave it out for the smallest"});
  }
  request.sparse_structure = overrides_of(message.sparse_structure());
  request.shape = overrides_of(message.shape());
  if (message.has_samples()) request.samples = message.samples();
  if (message.has_max_num_tokens()) request.max_num_tokens = message.max_num_tokens();
  if (message.mesh().has_decimation_target()) request.decimation_target = message.mesh().decimation_target();
  if (message.mesh().has_fill_holes()) request.fill_holes = message.mesh().fill_holes();
  request.remesh = message.mesh().remesh();
  if (message.mesh().has_remesh_band()) request.remesh_band = message.mesh().remesh_band();
  if (message.mesh().has_remesh_project()) request.remesh_project = message.mesh().remesh_project();
  read_formats(message, request, faults);
}

// Writes or fetches one adapter. A fault of the request goes to `faults` and leaves an OK status.
Status place_adapter(const v1::AdapterUse& use, const std::string& field, const std::filesystem::path& file,
                     const FetchAdapter& fetch, const std::stop_token& stop, std::vector<Fault>& faults) {
  if (use.has_inline_file()) return write_file_atomic(file, use.inline_file());
  if (!use.has_artefact_id() || use.artefact_id().empty()) {
    faults.push_back({field, "names neither an artefact nor carries a file"});
    return absl::OkStatus();
  }
  if (!fetch) {
    faults.push_back({field + ".artefact_id", "this server has no coordinator to fetch it from; send it inline"});
    return absl::OkStatus();
  }
  const Status status = fetch(use.artefact_id(), file, stop);
  if (absl::IsInvalidArgument(status)) {
    faults.push_back({field + ".artefact_id", std::string(status.message())});
    return absl::OkStatus();
  }
  return annotate(status, field + ".artefact_id");
}

Status place_adapters(const v1::GenerateRequest& message, const std::filesystem::path& folder,
                      const FetchAdapter& fetch, const std::stop_token& stop, GenerateRequest& request,
                      std::vector<Fault>& faults) {
  size_t inline_bytes = 0;
  for (const auto& use : message.adapters()) inline_bytes += use.inline_file().size();
  if (inline_bytes > kMaxInlineBytes) {
    faults.push_back({"adapters", absl::StrCat(inline_bytes, " bytes inline; at most ", kMaxInlineBytes)});
  }
  const size_t count = static_cast<size_t>(message.adapters_size());
  if (inline_bytes > kMaxInlineBytes || count > kMaxAdapters) {
    request.adapters.resize(count);  // refused for its size or number; nothing is fetched
    return absl::OkStatus();
  }
  for (size_t i = 0; i < count; ++i) {
    const v1::AdapterUse& use = message.adapters(static_cast<int>(i));
    const size_t known = faults.size();
    const auto file = folder / absl::StrCat("adapter_", i, ".safetensors");
    ESP_TRY(place_adapter(use, absl::StrCat("adapters[", i, "]"), file, fetch, stop, faults));
    // Without a file the engine passes over it: its fault is known.
    request.adapters.push_back(
        {faults.size() == known ? file : "", use.has_scale() ? use.scale() : 1.0, use.low_resolution()});
  }
  return absl::OkStatus();
}

}  // namespace

Result<GenerateRequest> read_request(const v1::GenerateRequest& message, const std::filesystem::path& folder,
                                     const FetchAdapter& fetch, std::stop_token stop, std::vector<Fault>& faults) {
  GenerateRequest request;
  if (!is_request_id(message.request_id())) {
    faults.push_back({"request_id", "must be at most 64 of A-Z, a-z, 0-9, '_' and '-'"});
  }
  ESP_ASSIGN(request.last_stage, last_stage_of(message.stop_after(), faults));
  request.image = message.image();
  request.background = background_of(message.background_removal(), faults);
  if (message.has_seed()) request.seed = message.seed();
  read_shape(message, request, faults);
  ESP_TRY(place_adapters(message, folder, fetch, stop, request, faults));
  return request;
}

}  // namespace espalier::infer
