#include "tests/client/http_server.h"

#include <algorithm>
#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <cstdlib>
#include <thread>

namespace espalier::client {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;

std::optional<HttpRequest> read_request(tcp::socket& socket) {
  boost::beast::flat_buffer buffer;
  http::request<http::empty_body> request;
  boost::system::error_code error;
  http::read(socket, buffer, request, error);
  if (error) return std::nullopt;
  return HttpRequest{std::string(request.target()), std::string(request[http::field::authorization]),
                     std::string(request[http::field::range])};
}

void write_answer(tcp::socket& socket, const HttpAnswer& answer) {
  http::response<http::empty_body> response(static_cast<http::status>(answer.code), 11);
  for (const auto& [name, value] : answer.headers) response.set(name, value);
  response.set(http::field::connection, "close");
  response.content_length(answer.body.size());
  http::response_serializer<http::empty_body> serializer(response);
  boost::system::error_code error;
  http::write_header(socket, serializer, error);
  asio::write(socket,
              asio::buffer(answer.body.data(), std::min(answer.cut.value_or(answer.body.size()), answer.body.size())),
              error);
  if (answer.hold) {
    answer.hold();
    char byte = 0;
    socket.read_some(asio::buffer(&byte, 1), error);
  }
  socket.shutdown(tcp::socket::shutdown_both, error);
}

}  // namespace

struct HttpServer::Listener {
  asio::io_context context;
  tcp::acceptor acceptor{context, tcp::endpoint(asio::ip::address_v4::loopback(), 0)};
  std::atomic<bool> stopping = false;
  std::vector<std::jthread> connections;
  std::thread thread;
};

HttpServer::HttpServer(Handler handler) : handler_(std::move(handler)), listener_(std::make_unique<Listener>()) {
  ::setenv("no_proxy", "127.0.0.1", 1);  // whatever proxy this machine's user has
  listener_->thread = std::thread([this] { serve(); });
}

HttpServer::~HttpServer() {
  listener_->stopping = true;
  tcp::socket waker(listener_->context);
  boost::system::error_code error;
  waker.connect(listener_->acceptor.local_endpoint(), error);
  listener_->thread.join();
  listener_->connections.clear();  // joins them
}

std::string HttpServer::url() const {
  return "http://127.0.0.1:" + std::to_string(listener_->acceptor.local_endpoint().port());
}

std::vector<HttpRequest> HttpServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

void HttpServer::serve() {
  while (true) {
    auto socket = std::make_shared<tcp::socket>(listener_->acceptor.accept());
    if (listener_->stopping) return;
    listener_->connections.emplace_back([this, socket] {
      const auto request = read_request(*socket);
      if (!request) return;
      HttpAnswer answer;
      {
        const std::lock_guard lock(mutex_);
        requests_.push_back(*request);
        answer = handler_(*request);
      }
      write_answer(*socket, answer);
    });
  }
}

}  // namespace espalier::client
