#pragma once

#include <chrono>
#include <memory>
#include <string>

namespace grpc {
class Channel;
class ClientContext;
}  // namespace grpc

namespace espalier {

// Deadline of a unary call that waits for nothing but the server's own work.
inline constexpr std::chrono::seconds kUnaryDeadline{30};

struct ChannelOptions {
  int max_receive_bytes = 4 << 20;
  int max_send_bytes = 80 << 20;  // a generate request may carry an image and adapters
};

// A lazily connected plaintext channel to HOST:PORT: keepalive pings every 30 s, reconnect backoff of 0.2 to 10 s, and
// up to four tries on UNAVAILABLE for the calls that are safe to repeat (those that only read, and the idempotent
// SubmitJob and CancelJob). Streams are retried only until their first message.
std::shared_ptr<grpc::Channel> make_channel(const std::string& address, const ChannelOptions& options = {});

// Every unary call sets a deadline; long streams set none and rely on keepalive.
void set_deadline(grpc::ClientContext& context, std::chrono::milliseconds from_now = kUnaryDeadline);

}  // namespace espalier
