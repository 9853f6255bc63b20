#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <stop_token>
#include <string>

#include "common/status.h"

namespace espalier::client {

using HttpProgress = std::function<void(int64_t done, int64_t total)>;  // bytes; total 0: not known

// What the server said last, whatever became of the transfer.
struct HttpReply {
  long code = 0;                               // 0: no answer came
  std::map<std::string, std::string> headers;  // names in lower case
};

struct HttpOptions {
  std::string bearer = {};  // token for the URL's own host and port; a redirect to another one goes without it
  int64_t max_bytes = int64_t{8192} << 20;
  bool resume = false;  // go on after the bytes that the destination holds; from its beginning where the server cannot
  HttpProgress progress = {};
  std::stop_token stop = {};
  HttpReply* reply = nullptr;
};

// Fetches an http(s) URL into a file: follows at most five redirects (never from https to http), verifies certificates,
// gives up after a minute of silence. Bytes that came before a failure stay in the file. Errors name the reason that
// the server or the network gave: UNAUTHENTICATED 401, PERMISSION_DENIED 403, OUT_OF_RANGE 416, NOT_FOUND other
// refusals; UNAVAILABLE 408, 429, 5xx, a lost or refused connection (may be tried again); INVALID_ARGUMENT more than
// max_bytes; RESOURCE_EXHAUSTED the file cannot be written; FAILED_PRECONDITION bad certificate or URL; CANCELLED.
Status http_download(const std::string& url, const std::filesystem::path& destination, const HttpOptions& options = {});

// The same into memory; `resume` means nothing here.
Result<std::string> http_text(const std::string& url, const HttpOptions& options = {});

}  // namespace espalier::client
