#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/status.h"
#include "preprocess/pipeline.h"

namespace espalier::preprocess {

struct CommandLine {
  PreprocessConfig config;
  std::vector<std::filesystem::path> merge;  // not empty: join these parts to config.output instead of preparing
  int progress_fd = -1;                      // events go here; -1: lines for people on stderr
  std::string help;                          // not empty: print it and leave with 0
};

// INVALID_ARGUMENT lists every fault of the arguments, one per line; `line` then still says where events are to go.
Status parse_command_line(int argc, const char* const* argv, CommandLine& line);

}  // namespace espalier::preprocess
