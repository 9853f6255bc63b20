#include "infer/program/output_options.h"

#include "cli/app.h"

namespace espalier::infer {
namespace {

// An option whose value is one of the map's keys.
template <class Value>
void add_choice(cli::App& app, const char* flag, std::optional<Value>& value, const std::map<std::string, Value>& names,
                const char* doc) {
  std::vector<std::string> allowed;
  for (const auto& [name, meaning] : names) allowed.push_back(name);
  app.text(
         flag, [&value, names](const std::string& name) { value = names.at(name); }, doc)
      .choices(allowed);
}

}  // namespace

void add_texture_file_options(cli::App& app, OutputOptions& options) {
  app.option("--preset", options.preset,
             "Triangles and texture size: max 1000000/4096, web 100000/2048, game 10000/1024, mobile 5000/512, "
             "lowpoly 2000/512 (default: 500000/2048)")
      .choices({"max", "web", "game", "mobile", "lowpoly"});
  app.option("--texture-size", options.texture_size,
             "Texels per side, a power of two in 64..4096 (default: the preset's)");
  add_choice<mesh::TextureFormat>(
      app, "--texture-format", options.texture_format,
      {{"png", mesh::TextureFormat::kPng}, {"jpeg", mesh::TextureFormat::kJpeg}, {"webp", mesh::TextureFormat::kWebp}},
      "png (default), jpeg or webp, inside the .glb");
  add_choice<bake::AlphaChoice>(app, "--alpha-mode", options.alpha_mode,
                                {{"opaque", bake::AlphaChoice::kOpaque},
                                 {"blend", bake::AlphaChoice::kBlend},
                                 {"mask", bake::AlphaChoice::kMask},
                                 {"auto", bake::AlphaChoice::kAutomatic}},
                                "How viewers use the texture's alpha: opaque (default), blend, mask or auto");
}

void add_preview_options(cli::App& app, PreviewArguments& arguments) {
  auto preview = app.option("--preview", arguments.file, "Also draw the object, to this .png");
  preview.check([](const std::string& name) {
    return std::filesystem::path(name).extension() == ".png" ? std::string() : name + " does not end in .png";
  });
  app.option("--preview-size", arguments.settings.size, "Pixels per side of a view, 64..1024")
      .needs(preview)
      .show_default();
  app.option("--preview-views", arguments.settings.views, "Views of it side by side, 1..8")
      .needs(preview)
      .show_default();
}

const std::map<std::string, std::string>& shared_option_names() {
  static const std::map<std::string, std::string> kNames = {
      {"texture", "--texture-…"},
      {"texture.steps", "--texture-steps"},
      {"texture.guidance_strength", "--texture-guidance"},
      {"texture.guidance_rescale", "--texture-guidance-rescale"},
      {"texture.rescale_t", "--texture-rescale-t"},
      {"mesh.texture_size", "--texture-size"},
      {"mesh.texture_format", "--texture-format"},
      {"mesh.alpha_mode", "--alpha-mode"},
      {"mesh.preset", "--preset"},
      {"preview.size", "--preview-size"},
      {"preview.views", "--preview-views"},
  };
  return kNames;
}

}  // namespace espalier::infer
