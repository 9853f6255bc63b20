#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace espalier::client {

struct HttpRequest {
  std::string target, authorization, range;
};

struct HttpAnswer {
  unsigned code = 200;
  std::map<std::string, std::string> headers = {};
  std::string body = {};
  std::optional<size_t> cut = {};   // bytes of the body after which the connection ends
  std::function<void()> hold = {};  // called when they are sent; the connection then lives until the client leaves
};

// An HTTP server on 127.0.0.1 with a free port; one request per connection, each in a thread of its own.
class HttpServer {
 public:
  using Handler = std::function<HttpAnswer(const HttpRequest&)>;  // called from one thread at a time

  explicit HttpServer(Handler handler);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::string url() const;  // http://127.0.0.1:PORT
  std::vector<HttpRequest> requests() const;

 private:
  struct Listener;
  void serve();

  Handler handler_;
  mutable std::mutex mutex_;
  std::vector<HttpRequest> requests_;
  std::unique_ptr<Listener> listener_;
};

}  // namespace espalier::client
