#include "client/doctor/network.h"

#include <arpa/inet.h>
#include <grpcpp/grpcpp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "espalier/v1/tenants.grpc.pb.h"
#include "rpc/channel.h"
#include "rpc/probe.h"

namespace espalier::client {
namespace {

constexpr std::chrono::seconds kProbePatience{2};
constexpr int64_t kTolerableSkew = 30;  // seconds; more makes expiry times and the order of events misleading

bool can_listen(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;  // as gRPC does: the remains of a server that ended do not matter
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool free = fd >= 0 && ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  if (fd >= 0) ::close(fd);
  return free;
}

std::string utc(int64_t seconds) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", absl::FromUnixSeconds(seconds), absl::UTCTimeZone());
}

}  // namespace

PortUse port_use(int port, const std::string& method) {
  if (can_listen(port)) return PortUse::kFree;
  const auto channel = make_channel(absl::StrCat("127.0.0.1:", port));
  return probe(channel, method, kProbePatience).ok() ? PortUse::kOurs : PortUse::kTaken;
}

DoctorRow port_row(const std::string& what, int port, PortUse use) {
  const std::string name = absl::StrCat("port ", port);
  if (use == PortUse::kFree) return {name, Health::kOk, absl::StrCat("free for the ", what)};
  if (use == PortUse::kOurs) return {name, Health::kOk, absl::StrCat("the ", what, " answers")};
  return {name, Health::kFail, absl::StrCat("another program has it, which the ", what, " needs"),
          "stop that program (ss -ltnp shows it), or give `espalier up` another port: --port, --inference-port"};
}

DoctorRow clock_row(int64_t now, std::optional<int64_t> coordinator) {
  const int year = absl::UTCTimeZone().At(absl::FromUnixSeconds(now)).cs.year();
  if (year < 2024 || year > 2100) {
    return {"clock", Health::kFail, utc(now), "set the clock; certificates, keys and leases live by it"};
  }
  if (!coordinator) return {"clock", Health::kOk, utc(now)};
  const int64_t skew = now - *coordinator;
  const std::string found =
      absl::StrCat(utc(now), ", ", std::abs(skew), " s ", skew < 0 ? "behind" : "ahead of", " the coordinator's");
  if (std::abs(skew) <= kTolerableSkew) return {"clock", Health::kOk, found};
  return {"clock", Health::kWarn, found, "keep the clocks of both machines right (NTP)"};
}

std::optional<int64_t> coordinator_clock(const Command& command) {
  if (!coordinator_channel(command)) return std::nullopt;
  v1::TenantService::Stub stub(coordinator_channel(command));
  grpc::ClientContext context;
  set_deadline(context, kProbePatience);
  v1::GetCallerResponse response;
  if (!stub.GetCaller(&context, {}, &response).ok() || !response.has_time()) return std::nullopt;
  return response.time().seconds();
}

}  // namespace espalier::client
