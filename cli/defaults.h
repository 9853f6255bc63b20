#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cli/description.h"
#include "common/status.h"

namespace espalier::cli {

// The value of an option as a file of defaults gives it.
struct Default {
  std::vector<std::string> verbs;  // below the program: {"admin", "key", "create"}
  std::string option;              // a name as on the command line, "--rank"
  std::vector<std::string> values;
  std::string place;  // "config.yaml:3", for errors
};

// Reads a YAML file of defaults. Options of the program stand at the top, those of a verb in a map of its name; names
// are those of the command line without dashes:
//
//   coordinator: train.example.org:7430
//   submit:
//     denoisers: [sparse_structure, geometry]
//     rank: 16
//
// INVALID_ARGUMENT lists every key that is no option, with its line and the nearest option's name.
Result<std::vector<Default>> read_defaults(const std::filesystem::path& file, const CommandDescription& program);

}  // namespace espalier::cli
