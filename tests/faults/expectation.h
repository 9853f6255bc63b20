#pragma once

#include <map>
#include <string>

#include "espalier/v1/jobs.pb.h"
#include "tests/faults/plan.h"

// What must come out of a planned job, whatever is done to the product meanwhile.
namespace espalier::faults {

// Bytes of the dataset that the job trains from; empty when its preparation fails.
std::string expected_dataset(const Plan& plan, size_t job);

// SUCCEEDED or FAILED of a denoiser; SKIPPED when there is nothing to train from.
v1::StageState expected_stage(const Plan& plan, size_t job, v1::Denoiser denoiser);
// The end of a job that is not cancelled.
v1::JobState expected_state(const Plan& plan, size_t job);

// The bytes of an adapter that the attempt of `stamp` has made.
std::string expected_adapter(const Plan& plan, size_t job, v1::Denoiser denoiser, const std::string& stamp);

// What the job costs when it ends as expected, in nano-dollars.
int64_t expected_cost(const Plan& plan, size_t job);

}  // namespace espalier::faults
