#include <unistd.h>

#include <cstdio>
#include <string_view>

#include "common/exit_codes.h"
#include "common/log.h"
#include "common/stop_signals.h"
#include "nn/threads.h"
#include "preprocess/blender.h"
#include "preprocess/command_line.h"
#include "preprocess/import_asset.h"
#include "preprocess/merge.h"
#include "preprocess/progress_output.h"

int main(int argc, char** argv) {
  using namespace espalier;
  if (argc == 4 && std::string_view(argv[1]) == preprocess::kImportVerb)
    ::_exit(preprocess::import_asset_child(argv[2], argv[3]));
  if (argc == 5 && std::string_view(argv[1]) == preprocess::kImportBlendVerb)
    ::_exit(preprocess::import_blend_child(argv[2], argv[3], argv[4]));
  nn::use_available_cores();
  configure_log("preprocess", LogLevel::kInfo, LogFormat::kText);
  const StopSignals signals;
  preprocess::CommandLine line;
  Status status = preprocess::parse_command_line(argc, argv, line);
  if (!line.help.empty()) return std::fputs(line.help.c_str(), stdout), kExitOk;
  preprocess::ProgressOutput output(line.progress_fd, line.merge.empty() ? "preprocess" : "merge");
  if (status.ok()) {
    const auto result = line.merge.empty() ? preprocess::preprocess(line.config, signals.token(), output.observer())
                                           : preprocess::merge_parts(line.merge, line.config.output, signals.token(),
                                                                     output.observer());
    if (result.ok()) return output.result(*result), kExitOk;
    status = result.status();
  }
  output.error(status);
  return exit_code(status);
}
