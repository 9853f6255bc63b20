#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>

#include "client/http_download.h"
#include "common/status.h"

// Model repositories of the Hugging Face hub and of servers with its interface.
namespace espalier::client {

inline constexpr char kDefaultHub[] = "https://huggingface.co";

struct HubOptions {
  std::string endpoint = kDefaultHub;       // http only when it is written so
  std::string token = {};                   // empty: none
  int attempts = 6;                         // in a row without any progress, at a failing network or server
  std::chrono::milliseconds backoff{1000};  // after the first failure; doubles up to 32-fold
  std::function<void(const std::string& line)> on_retry = {};  // told before each wait
  std::stop_token stop = {};
};

struct HubFile {
  std::string path;  // in the repository; plain, see is_plain_path
  int64_t size = 0;
  std::string sha256;    // 64 hexadecimal digits; empty for small files that the hub keeps in git
  std::string git_sha1;  // 40 digits; of such a file's git blob
};

struct HubRepo {
  std::string id;                             // "owner/name"
  std::string commit;                         // 40 hexadecimal digits
  std::string licence;                        // as its card says; may be empty
  std::map<std::string, HubFile> files = {};  // by path
};

// "owner/name", letters, digits, '.', '_' and '-'.
bool is_repo_id(const std::string& text);
// A relative path without "." and "..", backslashes and control characters, which therefore stays in its folder.
bool is_plain_path(const std::string& text);

// Thread-safe. Errors name the repository and what to do: gated ones the page on which to accept their conditions.
class Hub {
 public:
  // INVALID_ARGUMENT: a malformed endpoint or token, or a token that would travel unencrypted to another machine.
  static Result<Hub> create(HubOptions options);

  // What `revision` (a branch, tag or commit) of the repository holds.
  Result<HubRepo> list(const std::string& repo, const std::string& revision) const;

  // Completes `part`, which may hold the beginning of the file; what came before a failure stays in it. The content is
  // not checked. DATA_LOSS when the server sends more than it lists.
  Status download(const HubRepo& repo, const HubFile& file, const std::filesystem::path& part,
                  const HttpProgress& progress) const;

 private:
  explicit Hub(HubOptions options) : options_(std::move(options)) {}
  Result<std::string> get(const std::string& repo, const std::string& url, HttpReply& reply) const;
  Status retry(const std::string& repo, const std::function<Status(HttpReply&)>& attempt,
               const std::function<int64_t()>& position) const;
  Status list_files(HubRepo& repo) const;
  Status explain(const Status& status, const HttpReply& reply, const std::string& repo) const;

  HubOptions options_;
};

}  // namespace espalier::client
