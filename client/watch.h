#pragma once

#include <string>

#include "client/command.h"
#include "espalier/v1/jobs.pb.h"

namespace espalier::client {

// Shows the events after `after_sequence` until the job has ended, through broken connections; returns the job as it
// ended. With --json every event is a line on stdout. CANCELLED: Ctrl-C (the job goes on).
Result<v1::Job> watch_job(const Command& command, const std::string& job_id, int64_t after_sequence = 0);

Result<v1::Job> get_job(const Command& command, const std::string& job_id);

}  // namespace espalier::client
