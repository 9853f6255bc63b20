#pragma once

#include <google/protobuf/repeated_ptr_field.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "client/generation/call.h"
#include "common/status.h"
#include "espalier/v1/inference.pb.h"

namespace espalier::cli {
class App;
}

// Parts of the command line that the verbs of the inference service share.
namespace espalier::client {

inline constexpr uint64_t kMaxImageBytes = uint64_t{20} << 20;

// What --decimation-target, --no-remesh, … say.
struct MeshArguments {
  std::optional<int> decimation_target;
  bool fill_holes = true, remesh = true, geometry_only = false;
};
void add_mesh_options(cli::App& verb, MeshArguments& arguments);
void fill(const MeshArguments& arguments, v1::MeshOptions& mesh);

// What --texture-size, --preset, … say.
struct TextureArguments {
  std::optional<int> texture_size;
  std::string texture_format, alpha_mode, preset;
};
void add_texture_options(cli::App& verb, TextureArguments& arguments);
void fill(const TextureArguments& arguments, v1::MeshOptions& mesh);

// What --preview, --preview-size and --preview-views say.
struct PreviewArguments {
  std::string file;  // .png; empty: none is asked for
  std::optional<int> size, views;
};
void add_preview_options(cli::App& verb, PreviewArguments& arguments);
void fill(const PreviewArguments& arguments, v1::PreviewOptions& preview);

// Asks for the preview where one is wanted.
template <class Request>
void add_preview(const PreviewArguments& arguments, Request& request, GenerationOutputs& outputs) {
  if (arguments.file.empty()) return;
  fill(arguments, *request.mutable_preview());
  outputs.paths[v1::OUTPUT_FORMAT_PREVIEW] = arguments.file;
}

// Adds an adapter: FILE[:SCALE] or art_…[:SCALE]. A file's name may hold a colon when no number follows it.
Status add_adapter(const std::string& text, bool low_resolution,
                   google::protobuf::RepeatedPtrField<v1::AdapterUse>& adapters);

// The format that a file's extension names, e.g. ".glb". INVALID_ARGUMENT calls the option by the given name.
Result<v1::OutputFormat> format_of(const std::filesystem::path& file, const std::string& option = "--output");

// auto, keyer or none.
v1::BackgroundRemoval background_of(const std::string& name);

}  // namespace espalier::client
