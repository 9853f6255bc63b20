#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>

#include "common/status.h"

namespace espalier::client {

// Fetches an http(s) URL the user typed into a file: follows at most five redirects (never from https to http),
// verifies certificates, at most 8192 MiB. Errors name the reason the server or the network gave.
Status http_download(const std::string& url, const std::filesystem::path& destination,
                     const std::function<void(int64_t done, int64_t total)>& progress = {}, std::stop_token stop = {});

}  // namespace espalier::client
