# Run at build time: the facts that `--version` prints. SOURCE_COMMIT stands in for git in an exported tree.
set(commit $ENV{SOURCE_COMMIT})
if(NOT commit AND GIT)
  execute_process(COMMAND ${GIT} -C ${SOURCE} describe --always --dirty --abbrev=12 --exclude=*
                  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
if(NOT commit)
  set(commit unknown)
endif()
file(CONFIGURE OUTPUT ${OUTPUT} @ONLY CONTENT [[#pragma once

namespace espalier {

inline constexpr char kVersion[] = "@VERSION@";
inline constexpr char kCommit[] = "@commit@";
inline constexpr char kLibTorch[] = "@TORCH@";
inline constexpr char kCuda[] = "@CUDA@";
inline constexpr char kLibTorchCompanions[] = "@COMPANIONS@";

}  // namespace espalier
]])
