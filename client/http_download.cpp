#include "client/http_download.h"

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <memory>
#include <sstream>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "cli/board.h"

namespace espalier::client {
namespace {

using Handle = std::unique_ptr<CURL, void (*)(CURL*)>;

// Where the bytes go: a file or a text.
struct Sink {
  std::ostream& stream;
  std::function<void()> clear;  // drops what it holds
  int64_t held = 0;             // bytes at the start
};

struct Transfer {
  CURL* curl;
  const HttpOptions& options;
  Sink& sink;
  int64_t position = 0;  // in the whole body
  bool begun = false;    // the body of a good answer
  Status fault = absl::OkStatus();
};

long response_code(CURL* curl) {
  long code = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
  return code;
}

std::string header(CURL* curl, const char* name) {
  curl_header* found = nullptr;
  return curl_easy_header(curl, name, 0, CURLH_HEADER, -1, &found) == CURLHE_OK ? found->value : "";
}

// A part is taken only when it begins where the sink ends; a whole body replaces what the sink holds.
Status begin(Transfer& transfer, long code) {
  transfer.begun = true;
  transfer.position = code == 206 ? transfer.sink.held : 0;
  if (code == 200 && transfer.sink.held > 0) transfer.sink.clear();
  const std::string range = code == 206 ? header(transfer.curl, "content-range") : "";
  if (code == 200 || range.starts_with(absl::StrCat("bytes ", transfer.sink.held, "-"))) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("the server sent another part than was asked for: ", range));
}

size_t on_data(char* data, size_t, size_t size, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const long code = response_code(transfer.curl);
  if (code != 200 && code != 206) return size;  // the text of a refusal
  if (!transfer.begun) transfer.fault = begin(transfer, code);
  if (transfer.position + static_cast<int64_t>(size) > transfer.options.max_bytes) {
    transfer.fault =
        absl::InvalidArgumentError(absl::StrCat("larger than ", cli::bytes_text(transfer.options.max_bytes)));
  }
  if (!transfer.fault.ok()) return 0;
  transfer.position += static_cast<int64_t>(size);
  transfer.sink.stream.write(data, static_cast<std::streamsize>(size));
  return transfer.sink.stream ? size : 0;
}

int on_progress(void* user, curl_off_t body, curl_off_t done, curl_off_t, curl_off_t) {
  const auto& transfer = *static_cast<Transfer*>(user);
  if (transfer.begun && transfer.options.progress) {
    transfer.options.progress(transfer.position, body > 0 ? transfer.position - done + body : 0);
  }
  return transfer.options.stop.stop_requested() ? 1 : 0;
}

Status refusal(long code) {
  const std::string text = absl::StrCat("the server answered ", code);
  if (code == 401) return absl::UnauthenticatedError(text);
  if (code == 403) return absl::PermissionDeniedError(text);
  if (code == 416) return absl::OutOfRangeError(text);
  if (code == 408 || code == 429 || code >= 500) return absl::UnavailableError(text);
  return absl::NotFoundError(text);
}

// Whether another attempt would end in the same way.
bool is_final(CURLcode code) {
  return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
         code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT || code == CURLE_TOO_MANY_REDIRECTS;
}

Status verdict(CURLcode code, const Transfer& transfer, const char* detail) {
  if (transfer.options.stop.stop_requested()) return absl::CancelledError("the download was stopped");
  ESP_TRY(transfer.fault);
  if (!transfer.sink.stream) return absl::ResourceExhaustedError("the download cannot be written; is the disk full?");
  const std::string reason = *detail != '\0' ? detail : curl_easy_strerror(code);
  if (is_final(code)) return absl::FailedPreconditionError(reason);
  const long http = response_code(transfer.curl);
  if (http >= 300) return refusal(http);
  return code == CURLE_OK ? absl::OkStatus() : absl::UnavailableError(reason);
}

void set_request(CURL* curl, const std::string& url, const HttpOptions& options, int64_t held) {
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "espalier");
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, url.starts_with("https://") ? "https" : "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 5L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 30L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, 60L);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  if (held > 0) curl_easy_setopt(curl, CURLOPT_RANGE, absl::StrCat(held, "-").c_str());
  if (options.bearer.empty()) return;
  curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
  curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, options.bearer.c_str());
}

void take_reply(CURL* curl, HttpReply& reply) {
  reply = {.code = response_code(curl), .headers = {}};
  curl_header* next = nullptr;
  while ((next = curl_easy_nextheader(curl, CURLH_HEADER, -1, next)) != nullptr) {
    reply.headers[absl::AsciiStrToLower(next->name)] = next->value;
  }
}

Status transfer_body(const std::string& url, const HttpOptions& options, Sink& sink) {
  static const CURLcode initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
  const Handle curl(curl_easy_init(), curl_easy_cleanup);
  if (initialised != CURLE_OK || !curl) return absl::InternalError("libcurl cannot start");
  Transfer transfer{.curl = curl.get(), .options = options, .sink = sink};
  std::array<char, CURL_ERROR_SIZE> detail{};
  set_request(curl.get(), url, options, sink.held);
  curl_easy_setopt(curl.get(), CURLOPT_ERRORBUFFER, detail.data());
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, on_data);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl.get(), CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl.get(), CURLOPT_XFERINFOFUNCTION, on_progress);
  curl_easy_setopt(curl.get(), CURLOPT_XFERINFODATA, &transfer);
  const CURLcode code = curl_easy_perform(curl.get());
  if (code == CURLE_OK && response_code(curl.get()) == 200 && !transfer.begun) sink.clear();  // an empty body
  sink.stream.flush();
  if (options.reply) take_reply(curl.get(), *options.reply);
  return verdict(code, transfer, detail.data());
}

}  // namespace

Status http_download(const std::string& url, const std::filesystem::path& destination, const HttpOptions& options) {
  std::error_code error;
  const auto size = options.resume ? std::filesystem::file_size(destination, error) : 0;
  const int64_t held = error ? 0 : static_cast<int64_t>(size);
  std::ofstream file(destination, std::ios::binary | (held > 0 ? std::ios::app : std::ios::trunc));
  if (!file) return absl::InternalError(absl::StrCat(destination.string(), ": cannot be written"));
  Sink sink{file,
            [&] {
              file.close();
              file.open(destination, std::ios::binary | std::ios::trunc);
            },
            held};
  return transfer_body(url, options, sink);
}

Result<std::string> http_text(const std::string& url, const HttpOptions& options) {
  std::ostringstream text;
  Sink sink{text, [&] { text.str({}); }};
  ESP_TRY(transfer_body(url, options, sink));
  return std::move(text).str();
}

}  // namespace espalier::client
