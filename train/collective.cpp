#include "train/collective.h"

#include <cstdlib>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "train/distributed/backends.h"

namespace espalier::train {
namespace {

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
  ESP_TRY(read_integer("WORLD_SIZE", 1, 4096, address.world_size));
  ESP_TRY(read_integer("RANK", 0, address.world_size - 1, address.rank));
  ESP_TRY(read_integer("MASTER_PORT", 1, 65535, address.port));
  if (const char* host = std::getenv("MASTER_ADDR"); host != nullptr && *host != '\0') address.host = host;
  if (address.world_size > 1 && address.port == 0) {
    return absl::InvalidArgumentError("MASTER_PORT: missing (needed when WORLD_SIZE > 1)");
  }
  return address;
}

Result<std::unique_ptr<Collective>> Collective::connect(const GroupAddress& address, bool cuda) {
  return cuda ? distributed::connect_nccl(address) : distributed::connect_gloo(address);
}

}  // namespace espalier::train
