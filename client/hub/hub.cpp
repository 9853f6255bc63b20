#include "client/hub/hub.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "cli/board.h"
#include "client/hub/listing.h"
#include "common/stoppable_wait.h"
#include "rpc/channel.h"

namespace espalier::client {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kLargestAnswer = int64_t{16} << 20;
constexpr int kMostPages = 100;
constexpr std::chrono::seconds kLongestWait{300};

// Every byte that is not a letter, digit or one of `kept` as %XX.
std::string percent_encode(const std::string& text, std::string_view kept) {
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = absl::ascii_isalnum(byte) || kept.find(c) != std::string_view::npos;
    absl::StrAppend(&encoded, plain ? std::string(1, c) : absl::StrFormat("%%%02X", byte));
  }
  return encoded;
}

Status check_endpoint(const HubOptions& options) {
  const auto fault = [&](const char* what) {
    return absl::InvalidArgumentError(absl::StrCat("HF_ENDPOINT: ", options.endpoint, " ", what));
  };
  const bool secure = options.endpoint.starts_with("https://");
  if (!secure && !options.endpoint.starts_with("http://")) return fault("must begin with https:// (or http://)");
  const std::string rest = options.endpoint.substr(secure ? 8 : 7);
  if (rest.empty() || rest.front() == '/' || rest.find_first_of("@?# \t\r\n") != std::string::npos)
    return fault("is not a server's address, such as https://hub.example.org");
  if (secure || options.token.empty()) return absl::OkStatus();
  const std::string authority = rest.substr(0, rest.find('/'));
  return is_loopback(authority) ? absl::OkStatus()
                                : fault("is not encrypted: HF_TOKEN is not sent there; use https or unset HF_TOKEN");
}

std::string header(const HttpReply& reply, const std::string& name) {
  const auto found = reply.headers.find(name);
  return found == reply.headers.end() ? "" : found->second;
}

// Of Retry-After in seconds, which an overloaded server may send.
std::chrono::milliseconds wished_wait(const HttpReply& reply) {
  int seconds = 0;
  if (!absl::SimpleAtoi(header(reply, "retry-after"), &seconds) || seconds < 0) return {};
  return std::min<std::chrono::milliseconds>(std::chrono::seconds(seconds), kLongestWait);
}

// The server's own words, harmless on a terminal.
std::string server_message(const HttpReply& reply) {
  std::string text = header(reply, "x-error-message").substr(0, 300);
  std::erase_if(text, [](unsigned char c) { return c < 0x20 || c > 0x7e; });
  return text.empty() ? "" : absl::StrCat(" (the hub says: ", text, ")");
}

// Path and query of the Link header's next page; they are asked of the endpoint whichever host the header names, so
// that the token goes nowhere else.
std::string next_page(const HttpReply& reply) {
  for (const auto& link : absl::StrSplit(header(reply, "link"), ',')) {
    const std::string text(link);
    if (text.find("rel=\"next\"") == std::string::npos) continue;
    const size_t begin = text.find("/api/models/"), end = text.find('>');
    if (begin < end && end != std::string::npos) return text.substr(begin, end - begin);
  }
  return "";
}

}  // namespace

Result<Hub> Hub::create(HubOptions options) {
  while (options.endpoint.ends_with('/')) options.endpoint.pop_back();
  options.token = std::string(absl::StripAsciiWhitespace(options.token));
  for (const unsigned char c : options.token) {
    if (c <= 0x20 || c > 0x7e) return absl::InvalidArgumentError("HF_TOKEN holds a character that no token has");
  }
  ESP_TRY(check_endpoint(options));
  return Hub(std::move(options));
}

Result<HubRepo> Hub::list(const std::string& repo, const std::string& revision) const {
  if (!is_repo_id(repo)) return absl::InvalidArgumentError(absl::StrCat("repository ", repo, ": must be owner/name"));
  const std::string models = absl::StrCat(options_.endpoint, "/api/models/", repo);
  HttpReply reply;
  ESP_ASSIGN(const auto text, get(repo, absl::StrCat(models, "/revision/", percent_encode(revision, "-_.~")), reply));
  ESP_ASSIGN(HubRepo listed, parse_revision(repo, text));
  ESP_TRY(list_files(listed));
  return listed;
}

Status Hub::list_files(HubRepo& repo) const {
  std::string page = absl::StrCat("/api/models/", repo.id, "/tree/", repo.commit, "?recursive=true");
  for (int pages = 0; !page.empty(); ++pages) {
    if (pages == kMostPages) return absl::ResourceExhaustedError(absl::StrCat(repo.id, ": too many files"));
    HttpReply reply;
    ESP_ASSIGN(const auto text, get(repo.id, options_.endpoint + page, reply));
    ESP_TRY(parse_tree(text, repo));
    page = next_page(reply);
  }
  return absl::OkStatus();
}

Result<std::string> Hub::get(const std::string& repo, const std::string& url, HttpReply& reply) const {
  std::string text;
  const auto attempt = [&](HttpReply& last) -> Status {
    auto body =
        http_text(url, {.bearer = options_.token, .max_bytes = kLargestAnswer, .stop = options_.stop, .reply = &last});
    reply = last;
    ESP_TRY(body.status());
    text = *std::move(body);
    return absl::OkStatus();
  };
  ESP_TRY(retry(repo, attempt, [] { return 0; }));
  return text;
}

Status Hub::download(const HubRepo& repo, const HubFile& file, const fs::path& part,
                     const HttpProgress& progress) const {
  const std::string url =
      absl::StrCat(options_.endpoint, "/", repo.id, "/resolve/", repo.commit, "/", percent_encode(file.path, "-_.~/"));
  const auto position = [&] {
    std::error_code error;
    const auto size = fs::file_size(part, error);
    return error ? 0 : static_cast<int64_t>(size);
  };
  const auto attempt = [&](HttpReply& reply) -> Status {
    const Status status = http_download(url, part,
                                        {.bearer = options_.token,
                                         .max_bytes = file.size,
                                         .resume = true,
                                         .progress = progress,
                                         .stop = options_.stop,
                                         .reply = &reply});
    std::error_code ignored;
    if (absl::IsOutOfRange(status)) fs::remove(part, ignored);  // the server knows less than we hold: all again
    if (absl::IsOutOfRange(status)) return absl::UnavailableError("the server cannot go on where the file ends");
    if (!absl::IsInvalidArgument(status)) return status;
    fs::remove(part, ignored);
    return absl::DataLossError(absl::StrCat("the hub sends more than the ", file.size, " bytes that it lists"));
  };
  return annotate(retry(repo.id, attempt, position), file.path);
}

Status Hub::retry(const std::string& repo, const std::function<Status(HttpReply&)>& attempt,
                  const std::function<int64_t()>& position) const {
  int64_t reached = position();
  for (int failures = 0;;) {
    HttpReply reply;
    const Status status = attempt(reply);
    if (!absl::IsUnavailable(status)) return explain(status, reply, repo);
    failures = position() > reached ? 1 : failures + 1;
    reached = std::max(reached, position());
    if (failures >= options_.attempts) return explain(status, reply, repo);
    const auto pause = std::max(options_.backoff * (1 << std::min(failures - 1, 5)), wished_wait(reply));
    if (options_.on_retry) {
      options_.on_retry(absl::StrCat(repo, ": ", std::string(status.message()), "; again in ",
                                     cli::duration_text(std::chrono::duration<double>(pause).count())));
    }
    if (!wait_unless_stopped(pause, options_.stop)) return explain(absl::CancelledError("stopped"), reply, repo);
  }
}

Status Hub::explain(const Status& status, const HttpReply& reply, const std::string& repo) const {
  const std::string page = absl::StrCat(options_.endpoint, "/", repo);
  const std::string tokens = absl::StrCat(options_.endpoint, "/settings/tokens");
  const std::string said = server_message(reply);
  if (absl::IsCancelled(status)) {
    return absl::CancelledError("stopped; the same command goes on from here");
  }
  if ((absl::IsUnauthenticated(status) || absl::IsPermissionDenied(status)) && options_.token.empty()) {
    return absl::UnauthenticatedError(absl::StrCat(repo,
                                                   " needs an account that may read it: accept its conditions at ",
                                                   page, ", make a token at ", tokens, ", set HF_TOKEN to it", said));
  }
  if (absl::IsUnauthenticated(status)) {
    return absl::UnauthenticatedError(absl::StrCat(repo, ": the token in HF_TOKEN is not valid there, or ", page,
                                                   " does not exist; tokens are made at ", tokens, said));
  }
  if (absl::IsPermissionDenied(status)) {
    return absl::PermissionDeniedError(
        absl::StrCat(repo, ": the account of HF_TOKEN may not read it: accept its conditions at ", page,
                     "; a fine-grained token also needs access to gated repositories (", tokens, ")", said));
  }
  if (absl::IsNotFound(status)) {
    return absl::NotFoundError(absl::StrCat(repo, ": ", std::string(status.message()), " at ", options_.endpoint,
                                            "; no such repository, revision or file", said));
  }
  return status.ok() ? status : annotate(status, absl::StrCat(repo, " at ", options_.endpoint));
}

}  // namespace espalier::client
