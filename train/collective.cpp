#include "train/collective.h"

#include <cstdlib>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "train/distributed/backends.h"

namespace espalier::train {
namespace {

constexpr int kMaxWorldSize = 4096;

Status read_integer(const char* name, int low, int high, int& value) {
  const char* text = std::getenv(name);
  if (text == nullptr || *text == '\0') return absl::OkStatus();
  if (!absl::SimpleAtoi(text, &value) || value < low || value > high) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": '", text, "' (allowed: ", low, "..", high, ")"));
  }
  return absl::OkStatus();
}

}  // namespace

Result<GroupAddress> group_from_environment() {
  GroupAddress address;
  ESP_TRY(read_integer("WORLD_SIZE", 1, kMaxWorldSize, address.world_size));
  ESP_TRY(read_integer("RANK", 0, address.world_size - 1, address.rank));
  ESP_TRY(read_integer("MASTER_PORT", 1, 65535, address.port));
  if (const char* host = std::getenv("MASTER_ADDR"); host != nullptr && *host != '\0') address.host = host;
  if (address.world_size > 1 && address.port == 0) {
    return absl::InvalidArgumentError("MASTER_PORT: missing (needed when WORLD_SIZE > 1)");
  }
  return address;
}

Status validate(const GroupAddress& address) {
  std::vector<std::string> faults;
  if (address.world_size < 1 || address.world_size > kMaxWorldSize) {
    faults.push_back(absl::StrCat("world_size: ", address.world_size, " (allowed: 1..", kMaxWorldSize, ")"));
  } else if (address.rank < 0 || address.rank >= address.world_size) {
    faults.push_back(absl::StrCat("member: ", address.rank, " (allowed: 0..", address.world_size - 1, ")"));
  }
  const int lowest_port = address.world_size == 1 || address.rank == 0 ? 0 : 1;
  if (address.host.empty() || address.port < lowest_port || address.port > 65535) {
    faults.push_back(absl::StrCat("rendezvous: '", address.host, ":", address.port,
                                  "' (allowed: HOST:PORT of member 0; port 0 only for member 0 itself)"));
  }
  for (const auto timeout : {address.rendezvous_timeout, address.timeout}) {
    if (timeout < std::chrono::seconds(1) || timeout > std::chrono::hours(24)) {
      faults.push_back(absl::StrCat("timeout: ", timeout.count(), " ms (allowed: 1 s..24 h)"));
    }
  }
  return faults.empty() ? absl::OkStatus() : absl::InvalidArgumentError(absl::StrJoin(faults, "\n"));
}

Result<std::unique_ptr<Collective>> Collective::connect(const GroupAddress& address, bool cuda,
                                                        const std::function<void(int port)>& on_listening) {
  ESP_TRY(validate(address));
  return cuda ? distributed::connect_nccl(address, on_listening) : distributed::connect_gloo(address, on_listening);
}

}  // namespace espalier::train
