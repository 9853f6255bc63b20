#include "infer/server/request_reader.h"

#include <algorithm>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "infer/server/message_values.h"

namespace espalier::infer {
namespace {

constexpr size_t kMaxRequestId = 64;
constexpr size_t kMaxInlineBytes = size_t{48} << 20;

bool is_mesh_format(FileFormat format) {
  return format == FileFormat::kGlb || format == FileFormat::kObj || format == FileFormat::kPly ||
         format == FileFormat::kStl;
}

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

LastStage last_stage_of(v1::Denoiser stop_after, std::vector<Fault>& faults) {
  switch (stop_after) {
    case v1::DENOISER_UNSPECIFIED:
      return LastStage::kAny;
    case v1::DENOISER_SPARSE_STRUCTURE:
      return LastStage::kStructure;
    case v1::DENOISER_GEOMETRY:
      return LastStage::kShape;
    case v1::DENOISER_TEXTURE:
      return LastStage::kTexture;
    default:
      faults.push_back({"stop_after", absl::StrCat(static_cast<int>(stop_after), " is not a known value")});
      return LastStage::kAny;
  }
}

template <class Message>
void read_formats(const Message& message, OutputOptions& options, std::vector<Fault>& faults) {
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
  if (!formats.empty() && static_cast<int>(formats.size()) == message.formats_size()) options.formats = formats;
}

template <class Message>
void read_preview(const Message& message, OutputOptions& options) {
  if (!message.has_preview()) return;
  PreviewSettings& preview = options.preview.emplace();
  if (message.preview().has_size()) preview.size = message.preview().size();
  if (message.preview().has_views()) preview.views = message.preview().views();
}

// One of `values` by the message's value; nothing for UNSPECIFIED, a fault for an unknown one.
template <class Value>
std::optional<Value> choice_of(int value, const std::vector<Value>& values, const char* field,
                               std::vector<Fault>& faults) {
  if (value == 0) return std::nullopt;
  if (value > 0 && value <= static_cast<int>(values.size())) return values[static_cast<size_t>(value) - 1];
  faults.push_back({field, absl::StrCat(value, " is not a known value")});
  return std::nullopt;
}

void read_textures(const v1::MeshOptions& mesh, OutputOptions& options, std::vector<Fault>& faults) {
  using enum bake::AlphaChoice;
  if (mesh.has_texture_size()) options.texture_size = mesh.texture_size();
  options.texture_format = choice_of<mesh::TextureFormat>(
      mesh.texture_format(), {mesh::TextureFormat::kPng, mesh::TextureFormat::kJpeg, mesh::TextureFormat::kWebp},
      "mesh.texture_format", faults);
  options.alpha_mode =
      choice_of<bake::AlphaChoice>(mesh.alpha_mode(), {kOpaque, kBlend, kMask, kAutomatic}, "mesh.alpha_mode", faults);
  options.geometry_only = mesh.geometry_only();
  if (const auto preset = from_message(mesh.preset())) {
    options.preset = *preset;
  } else {
    faults.push_back({"mesh.preset", absl::StrCat(static_cast<int>(mesh.preset()), " is not a known value")});
  }
}

void read_mesh(const v1::MeshOptions& mesh, OutputOptions& options, std::vector<Fault>& faults) {
  if (mesh.has_decimation_target()) options.decimation_target = mesh.decimation_target();
  if (mesh.has_fill_holes()) options.fill_holes = mesh.fill_holes();
  if (mesh.has_remesh()) options.remesh = mesh.remesh();
  if (mesh.has_remesh_band()) options.remesh_band = mesh.remesh_band();
  if (mesh.has_remesh_project()) options.remesh_project = mesh.remesh_project();
  read_textures(mesh, options, faults);
}

template <class Message>
int read_resolution(const Message& message, std::vector<Fault>& faults) {
  if (!message.has_resolution()) return 0;
  if (message.resolution() == 0) {
    faults.push_back({"resolution", "0 is not a resolution; leave it out for the smallest"});
  }
  return message.resolution();
}

void read_shape(const v1::GenerateRequest& message, GenerateRequest& request, std::vector<Fault>& faults) {
  if (const auto pipeline = from_message(message.pipeline_type())) {
    request.pipeline = *pipeline;
  } else {
    faults.push_back({"pipeline_type", absl::StrCat(static_cast<int>(message.pipeline_type()), " is not a pipeline")});
  }
  request.resolution = read_resolution(message, faults);
  request.sparse_structure = overrides_of(message.sparse_structure());
  request.shape = overrides_of(message.shape());
  request.texture = overrides_of(message.texture());
  if (message.has_samples()) request.samples = message.samples();
  if (message.has_max_num_tokens()) request.max_num_tokens = message.max_num_tokens();
  read_mesh(message.mesh(), request, faults);
  read_formats(message, request, faults);
  read_preview(message, request);
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

template <class Message>
Status place_adapters(const Message& message, const std::filesystem::path& folder, const FetchAdapter& fetch,
                      const std::stop_token& stop, std::vector<AdapterUse>& adapters, std::vector<Fault>& faults) {
  size_t inline_bytes = 0;
  for (const auto& use : message.adapters()) inline_bytes += use.inline_file().size();
  if (inline_bytes > kMaxInlineBytes) {
    faults.push_back({"adapters", absl::StrCat(inline_bytes, " bytes inline; at most ", kMaxInlineBytes)});
  }
  const size_t count = static_cast<size_t>(message.adapters_size());
  if (inline_bytes > kMaxInlineBytes || count > kMaxAdapters) {
    adapters.resize(count);  // refused for its size or number; nothing is fetched
    return absl::OkStatus();
  }
  for (size_t i = 0; i < count; ++i) {
    const v1::AdapterUse& use = message.adapters(static_cast<int>(i));
    const size_t known = faults.size();
    const auto file = folder / absl::StrCat("adapter_", i, ".safetensors");
    ESP_TRY(place_adapter(use, absl::StrCat("adapters[", i, "]"), file, fetch, stop, faults));
    // Without a file the engine passes over it: its fault is known.
    adapters.push_back({faults.size() == known ? file : "", use.has_scale() ? use.scale() : 1.0, use.low_resolution()});
  }
  return absl::OkStatus();
}

void check_request_id(const std::string& id, std::vector<Fault>& faults) {
  if (!is_request_id(id)) faults.push_back({"request_id", "must be at most 64 of A-Z, a-z, 0-9, '_' and '-'"});
}

// The scene of a file inside the message. What is wrong with it goes to `faults` and leaves an empty one.
Result<mesh::Scene> read_mesh_file(const v1::RetextureRequest& message, const std::filesystem::path& folder,
                                   const ImportMesh& import_mesh, std::stop_token stop, std::vector<Fault>& faults) {
  const auto format = from_message(message.mesh_format());
  if (!format || !is_mesh_format(*format)) {
    faults.push_back({"mesh_format", "must be GLB, OBJ, PLY or STL"});
    return mesh::Scene{};
  }
  if (message.mesh_file().empty() || message.mesh_file().size() > kMaxInlineBytes) {
    faults.push_back({"mesh_file", absl::StrCat(message.mesh_file().size(), " bytes; must be 1 to ", kMaxInlineBytes)});
    return mesh::Scene{};
  }
  const std::string name = absl::StrCat("mesh", kind_of(*format).extension);
  const std::filesystem::path own = folder / "mesh";  // what the importer may read
  std::error_code error;
  std::filesystem::create_directory(own, error);
  ESP_TRY(write_file_atomic(own / name, message.mesh_file()));
  auto scene = import_mesh(own, name, std::move(stop));
  if (scene.ok() || absl::IsUnavailable(scene.status()) || absl::IsCancelled(scene.status())) return scene;
  faults.push_back({"mesh_file", std::string(scene.status().message())});
  return mesh::Scene{};
}

// Retexturing changes nothing but the texture.
void check_texture_only(const v1::MeshOptions& mesh, std::vector<Fault>& faults) {
  constexpr const char* kUnchanged = "the mesh stays as it is";
  if (mesh.has_decimation_target()) faults.push_back({"mesh.decimation_target", kUnchanged});
  if (mesh.has_fill_holes()) faults.push_back({"mesh.fill_holes", kUnchanged});
  if (mesh.remesh()) faults.push_back({"mesh.remesh", kUnchanged});
  if (mesh.geometry_only()) faults.push_back({"mesh.geometry_only", "a texture is all that is made"});
}

}  // namespace

Result<GenerateRequest> read_request(const v1::GenerateRequest& message, const std::filesystem::path& folder,
                                     const FetchAdapter& fetch, std::stop_token stop, std::vector<Fault>& faults) {
  GenerateRequest request;
  check_request_id(message.request_id(), faults);
  request.last_stage = last_stage_of(message.stop_after(), faults);
  request.image = message.image();
  request.background = background_of(message.background_removal(), faults);
  if (message.has_seed()) request.seed = message.seed();
  read_shape(message, request, faults);
  ESP_TRY(place_adapters(message, folder, fetch, stop, request.adapters, faults));
  return request;
}

OutputOptions read_extraction(const v1::ExtractGlbRequest& message, std::vector<Fault>& faults) {
  OutputOptions options;
  check_request_id(message.request_id(), faults);
  read_mesh(message.mesh(), options, faults);
  read_formats(message, options, faults);
  read_preview(message, options);
  return options;
}

Result<RetextureRequest> read_retexture(const v1::RetextureRequest& message, const std::filesystem::path& folder,
                                        const FetchAdapter& fetch, const ImportMesh& import_mesh, std::stop_token stop,
                                        std::vector<Fault>& faults) {
  RetextureRequest request;
  check_request_id(message.request_id(), faults);
  request.image = message.image();
  request.background = background_of(message.background_removal(), faults);
  if (message.has_seed()) request.seed = message.seed();
  request.resolution = read_resolution(message, faults);
  request.texture = overrides_of(message.texture());
  request.keep_uvs = message.keep_uvs();
  check_texture_only(message.mesh(), faults);
  read_textures(message.mesh(), request, faults);
  read_preview(message, request);
  ESP_ASSIGN(request.mesh, read_mesh_file(message, folder, import_mesh, stop, faults));
  ESP_TRY(place_adapters(message, folder, fetch, stop, request.adapters, faults));
  return request;
}

}  // namespace espalier::infer
