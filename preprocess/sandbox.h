#pragma once

#include <cstdint>
#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

#include "common/status.h"
#include "preprocess/importer.h"

// Running code that reads hostile files in a child process that can do little else.
namespace espalier::preprocess {

inline constexpr int kResultFd = 3;      // where a confined child writes what it read
inline constexpr int kExecFailed = 127;  // exit code of run_confined, or of a program's dynamic loader

// How a confined child ended.
struct ChildExit {
  enum class Kind { kExited, kSignalled, kTimedOut } kind = Kind::kExited;
  int value = 0;  // exit code or signal number
};

// Runs `program` with `arguments` in its own session: empty environment, no descriptor but /dev/null on 0..2 and
// `result_fd` as descriptor kResultFd, resource limits, killed with its parent, and its whole process group killed when
// it ends, exceeds the time limit, or `stop` is requested (CANCELLED). UNAVAILABLE when no process can be made.
Result<ChildExit> run_confined(const std::filesystem::path& program, const std::vector<std::string>& arguments,
                               int result_fd, const SandboxLimits& limits, std::stop_token stop);

// Called by the child itself before it touches the file: from here on only reading below `root` (Landlock, where the
// kernel has it) and the system calls of reading, computing and writing to open descriptors (seccomp; anything else
// kills the process). UNAVAILABLE when the kernel refuses the filter: then nothing must be read.
Status confine_this_process(const std::filesystem::path& root);

// Called by a child before it becomes `program`, an external converter, which inherits it: reading below `root` and of
// the program's own and the system's libraries (Landlock), no file opened for writing, no other processes, no sockets
// and no signals to others (seccomp: such calls fail). Threads are allowed, and execve. UNAVAILABLE when the kernel
// lacks either: then the converter must not run.
Status confine_converter(const std::filesystem::path& root, const std::filesystem::path& program);

}  // namespace espalier::preprocess
