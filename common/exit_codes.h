#pragma once

#include "common/status.h"

// Exit codes of all our programs; docs/exit_codes.md is the table for people. The worker decides by those of the task
// programs whether another attempt can help.
namespace espalier {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;     // may be retried; of a watched job: all of it failed
inline constexpr int kExitInvalid = 2;    // the arguments or the input are wrong: the same call will fail again
inline constexpr int kExitPartial = 3;    // a watched job: some of its denoisers failed
inline constexpr int kExitCancelled = 4;  // stopped by SIGINT or SIGTERM, after saving what can be; a cancelled job
inline constexpr int kExitRefused = 5;    // the coordinator does not let this worker attach

// The table in short, for manual pages.
struct ExitCode {
  int code;
  const char* meaning;
};
inline constexpr ExitCode kExitCodes[] = {
    {kExitOk, "Done; a watched job succeeded."},
    {kExitFailed, "Failed; a later try may succeed. A watched job failed."},
    {kExitInvalid, "The arguments or the input are wrong."},
    {kExitPartial, "A watched job succeeded in part."},
    {kExitCancelled, "Stopped by a signal; a watched job was cancelled."},
    {kExitRefused, "The coordinator refused this worker."},
};

// `status` with an exit code of its own.
Status with_exit_code(Status status, int code);

// The code it was given; else 0 for OK, kExitInvalid for INVALID_ARGUMENT, NOT_FOUND and FAILED_PRECONDITION,
// kExitCancelled for CANCELLED, kExitFailed for anything else.
int exit_code(const Status& status);

}  // namespace espalier
