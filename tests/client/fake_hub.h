#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/client/http_server.h"

namespace espalier::client {

// A hub with its interface: repositories are listed and resolved at one address, which redirects to another one for the
// bytes. What goes wrong is told in advance.
class FakeHub {
 public:
  struct Repo {
    std::map<std::string, std::string>
        files;  // path -> content; *.safetensors are listed with sha256, others as git blobs
    std::string commit, licence = "mit";
    std::string needs_token;  // gated: only this token may read files; empty: everybody
  };

  FakeHub();

  // The official layout: three repositories with small files, a few kB each.
  void add_official_base();

  std::string url() const { return hub_.url(); }
  std::vector<HttpRequest> hub_requests() const { return hub_.requests(); }
  std::vector<HttpRequest> byte_requests() const { return bytes_.requests(); }  // after redirects
  int downloads_of(const std::string& path) const;                              // requests of the bytes

  // Changes of behaviour; made between fetches.
  std::map<std::string, Repo> repos;                     // by id
  std::map<std::string, std::deque<HttpAnswer>> api;     // by target: answers that come before the right one
  std::map<std::string, std::deque<HttpAnswer>> faults;  // by path: the same for the bytes; body empty: the right one
  std::map<std::string, int64_t> listed_sizes;           // by path: instead of the true one
  std::set<std::string> wrong_bytes;                     // paths of which other bytes come
  bool ranges = true;                                    // whether parts are served
  size_t page_size = 1000;                               // files of a listing's page

 private:
  HttpAnswer answer_hub(const HttpRequest& request);
  HttpAnswer answer_bytes(const HttpRequest& request);
  HttpAnswer list(const Repo& repo, const std::string& id, const std::string& target) const;

  HttpServer hub_, bytes_;
};

// What `git hash-object` prints for a file with this content.
std::string git_blob_sha1(const std::string& content);

}  // namespace espalier::client
