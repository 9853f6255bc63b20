#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/e2e/installation.h"

// Jobs of the shared installation, with equal settings unless told otherwise: their adapters must be equal however they
// are disturbed.
namespace espalier::e2e {

// Arguments of `espalier submit` with those settings.
std::vector<std::string> submit(const std::string& source, const std::vector<std::string>& more = {},
                                const std::string& denoisers = "sparse_structure");

// Submits and returns the job's id.
std::string submitted(const std::string& source, const std::vector<std::string>& more = {});

// The job as it ended.
nlohmann::json finish(const std::string& job_id);

// The hash of the adapter's weights, from its header; the rest of the header names the job.
std::string adapter_digest(const std::string& job_id, const std::string& folder_name);

// An undisturbed run on assets(), shared: what every disturbed one is compared with.
const nlohmann::json& reference_job();

// One of the pictures that the reference job was trained on, a PNG file.
const std::filesystem::path& reference_picture();

}  // namespace espalier::e2e
