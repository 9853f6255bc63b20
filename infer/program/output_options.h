#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/status.h"
#include "infer/request.h"

namespace espalier::cli {
class App;
}

// What the forms of the command line share.
namespace espalier::infer {

// --texture-size, --texture-format, --alpha-mode and --preset.
void add_texture_file_options(cli::App& app, OutputOptions& options);

// What --preview, --preview-size and --preview-views say.
struct PreviewArguments {
  std::filesystem::path file;  // .png; empty: none is made
  PreviewSettings settings;

  std::optional<PreviewSettings> wanted() const { return file.empty() ? std::nullopt : std::optional(settings); }
};
void add_preview_options(cli::App& app, PreviewArguments& arguments);

// Field paths of a request -> options, for the fields that these options set.
const std::map<std::string, std::string>& shared_option_names();

}  // namespace espalier::infer
