#include "client/generation/options.h"

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "cli/app.h"
#include "common/files.h"

namespace espalier::client {
namespace {

constexpr uint64_t kMaxAdapterBytes = uint64_t{48} << 20;

std::string upper(const std::string& text) { return absl::AsciiStrToUpper(text); }

}  // namespace

void add_mesh_options(cli::App& verb, MeshArguments& arguments) {
  verb.option("--decimation-target", arguments.decimation_target,
              "Triangles at most, 1000..16777216 (default: the preset's)");
  verb.flag("!--no-fill-holes", arguments.fill_holes, "Leave small holes of the shape open");
  verb.flag("!--no-remesh", arguments.remesh, "Keep the decoded surface, instead of a closed one made anew around it");
  verb.flag("--geometry-only", arguments.geometry_only, "No texture in the files");
}

void fill(const MeshArguments& arguments, v1::MeshOptions& mesh) {
  if (arguments.decimation_target) mesh.set_decimation_target(*arguments.decimation_target);
  if (!arguments.fill_holes) mesh.set_fill_holes(false);
  if (!arguments.remesh) mesh.set_remesh(false);
  mesh.set_geometry_only(arguments.geometry_only);
}

void add_texture_options(cli::App& verb, TextureArguments& arguments) {
  verb.option("--preset", arguments.preset,
              "Triangles and texture size: max 1000000/4096, web 100000/2048, game 10000/1024, mobile 5000/512, "
              "lowpoly 2000/512 (default: 500000/2048)")
      .choices({"max", "web", "game", "mobile", "lowpoly"});
  verb.option("--texture-size", arguments.texture_size,
              "Texels per side, a power of two in 64..4096 (default: the preset's)");
  verb.option("--texture-format", arguments.texture_format, "png (default), jpeg or webp, inside the .glb")
      .choices({"png", "jpeg", "webp"});
  verb.option("--alpha-mode", arguments.alpha_mode,
              "How viewers use the texture's alpha: opaque (default), blend, mask or auto")
      .choices({"opaque", "blend", "mask", "auto"});
}

void fill(const TextureArguments& arguments, v1::MeshOptions& mesh) {
  if (arguments.texture_size) mesh.set_texture_size(*arguments.texture_size);
  v1::TextureFormat format;  // the names have been checked
  if (v1::TextureFormat_Parse("TEXTURE_FORMAT_" + upper(arguments.texture_format), &format)) {
    mesh.set_texture_format(format);
  }
  v1::AlphaMode mode;
  if (v1::AlphaMode_Parse("ALPHA_MODE_" + upper(arguments.alpha_mode), &mode)) mesh.set_alpha_mode(mode);
  v1::Preset preset;
  if (v1::Preset_Parse("PRESET_" + upper(arguments.preset), &preset)) mesh.set_preset(preset);
}

void add_preview_options(cli::App& verb, PreviewArguments& arguments) {
  auto preview = verb.option("--preview", arguments.file, "Also get a picture of the object, to this .png");
  preview.check([](const std::string& name) {
    return std::filesystem::path(name).extension() == ".png" ? std::string() : name + " does not end in .png";
  });
  verb.option("--preview-size", arguments.size, "Pixels per side of a view, 64..1024 (default: 512)").needs(preview);
  verb.option("--preview-views", arguments.views, "Views of it side by side, 1..8 (default: 1)").needs(preview);
}

void fill(const PreviewArguments& arguments, v1::PreviewOptions& preview) {
  if (arguments.size) preview.set_size(*arguments.size);
  if (arguments.views) preview.set_views(*arguments.views);
}

Status add_adapter(const std::string& text, bool low_resolution,
                   google::protobuf::RepeatedPtrField<v1::AdapterUse>& adapters) {
  std::string source = text;
  v1::AdapterUse& use = *adapters.Add();
  use.set_low_resolution(low_resolution);
  double scale;
  if (const auto colon = text.rfind(':');
      colon != std::string::npos && absl::SimpleAtod(text.substr(colon + 1), &scale)) {
    use.set_scale(scale);
    source = text.substr(0, colon);
  }
  if (source.starts_with("art_") && !std::filesystem::exists(source)) {
    use.set_artefact_id(source);
    return absl::OkStatus();
  }
  ESP_ASSIGN(*use.mutable_inline_file(), read_file(source, kMaxAdapterBytes));
  return absl::OkStatus();
}

Result<v1::OutputFormat> format_of(const std::filesystem::path& file, const std::string& option) {
  v1::OutputFormat format;
  const std::string extension = upper(file.extension().string());
  if (extension.size() > 1 && v1::OutputFormat_Parse("OUTPUT_FORMAT_" + extension.substr(1), &format) &&
      format != v1::OUTPUT_FORMAT_UNSPECIFIED && format != v1::OUTPUT_FORMAT_OCCUPANCY) {
    return format;
  }
  return absl::InvalidArgumentError(
      absl::StrCat(option, " ", file.string(), ": must end in .glb, .obj, .ply, .stl, .vxz or .npz"));
}

v1::BackgroundRemoval background_of(const std::string& name) {
  if (name == "keyer") return v1::BACKGROUND_REMOVAL_KEYER;
  return name == "none" ? v1::BACKGROUND_REMOVAL_NONE : v1::BACKGROUND_REMOVAL_UNSPECIFIED;
}

}  // namespace espalier::client
