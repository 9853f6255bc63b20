#include "client/call.h"

#include <random>

#include "absl/strings/str_format.h"

namespace espalier::client {

std::string new_request_id() {
  std::random_device random;
  const auto word = [&] { return static_cast<uint32_t>(random()); };
  return absl::StrFormat("%08x-%04x-4%03x-%04x-%08x%04x", word(), word() & 0xffff, word() & 0xfff,
                         0x8000 | (word() & 0x3fff), word(), word() & 0xffff);
}

}  // namespace espalier::client
