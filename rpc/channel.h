#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "common/status.h"
#include "rpc/credentials.h"
#include "rpc/tls.h"

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

// Who calls, and how the connection is protected.
struct ChannelSecurity {
  std::optional<Credentials> key;  // sent with every call
  std::string tenant_id;           // an operator's: the tenant to act in; empty: the key's own
  ClientTls tls;
  bool allow_plaintext_remote = false;  // send the key unencrypted to other machines
};

// A lazily connected channel to HOST:PORT: keepalive pings every 30 s, reconnect backoff of 0.2 to 10 s, and
// up to four tries on UNAVAILABLE for the calls that are safe to repeat (those that only read, and the idempotent
// SubmitJob and CancelJob). Streams are retried only until their first message.
// INVALID_ARGUMENT: the TLS files, or a key would go unencrypted to another machine.
Result<std::shared_ptr<grpc::Channel>> open_channel(const std::string& address, const ChannelSecurity& security,
                                                    const ChannelOptions& options = {});
// As open_channel, in plaintext and without a key.
std::shared_ptr<grpc::Channel> make_channel(const std::string& address, const ChannelOptions& options = {});

// Whether HOST, or the host of HOST:PORT, is on this machine, so that nobody else sees what is sent there.
bool is_loopback(const std::string& address);

// Every unary call sets a deadline; long streams set none and rely on keepalive.
void set_deadline(grpc::ClientContext& context, std::chrono::milliseconds from_now = kUnaryDeadline);

}  // namespace espalier
