#include "client/http_download.h"

#include <curl/curl.h>

#include <array>
#include <fstream>
#include <memory>

#include "absl/strings/str_cat.h"

namespace espalier::client {
namespace {

constexpr curl_off_t kMaxBytes = curl_off_t{8192} << 20;

struct Transfer {
  std::ofstream file;
  int64_t received = 0;
  const std::function<void(int64_t, int64_t)>* progress;
  std::stop_token stop;
};

size_t on_data(char* data, size_t, size_t size, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  transfer.received += static_cast<int64_t>(size);
  if (transfer.received > kMaxBytes) return 0;
  transfer.file.write(data, static_cast<std::streamsize>(size));
  return transfer.file ? size : 0;
}

int on_progress(void* user, curl_off_t total, curl_off_t done, curl_off_t, curl_off_t) {
  auto& transfer = *static_cast<Transfer*>(user);
  if (*transfer.progress) (*transfer.progress)(done, total);
  return transfer.stop.stop_requested() ? 1 : 0;
}

Status verdict(CURLcode code, CURL* curl, const Transfer& transfer, const char* detail) {
  if (transfer.stop.stop_requested()) return absl::CancelledError("the download was stopped");
  if (transfer.received > kMaxBytes) return absl::InvalidArgumentError("larger than 8192 MiB");
  if (code == CURLE_WRITE_ERROR)
    return absl::ResourceExhaustedError("the download cannot be written; is the disk full?");
  if (code != CURLE_OK) return absl::UnavailableError(*detail != '\0' ? detail : curl_easy_strerror(code));
  long http = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &http);
  if (http != 200) return absl::NotFoundError(absl::StrCat("the server answered ", http));
  return absl::OkStatus();
}

}  // namespace

Status http_download(const std::string& url, const std::filesystem::path& destination,
                     const std::function<void(int64_t, int64_t)>& progress, std::stop_token stop) {
  static const CURLcode initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
  const std::unique_ptr<CURL, void (*)(CURL*)> curl(curl_easy_init(), curl_easy_cleanup);
  if (initialised != CURLE_OK || !curl) return absl::InternalError("libcurl cannot start");
  Transfer transfer{std::ofstream(destination, std::ios::binary), 0, &progress, std::move(stop)};
  if (!transfer.file) return absl::InternalError(absl::StrCat(destination.string(), ": cannot be written"));
  std::array<char, CURL_ERROR_SIZE> detail{};
  const bool secure = url.starts_with("https://");
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl.get(), CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https");
  curl_easy_setopt(curl.get(), CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_MAXREDIRS, 5L);
  curl_easy_setopt(curl.get(), CURLOPT_CONNECTTIMEOUT, 30L);
  curl_easy_setopt(curl.get(), CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_LOW_SPEED_TIME, 60L);
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_ERRORBUFFER, detail.data());
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, on_data);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl.get(), CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl.get(), CURLOPT_XFERINFOFUNCTION, on_progress);
  curl_easy_setopt(curl.get(), CURLOPT_XFERINFODATA, &transfer);
  const CURLcode code = curl_easy_perform(curl.get());
  transfer.file.close();
  return verdict(code, curl.get(), transfer, detail.data());
}

}  // namespace espalier::client
