#include "billing/name_uuid.h"

#include "absl/strings/str_cat.h"
#include "common/sha256.h"

namespace espalier::billing {

std::string name_uuid(std::string_view space, std::string_view name) {
  Sha256 digest;
  digest.update(space);
  digest.update(std::string_view("\0", 1));
  digest.update(name);
  std::string hex = digest.hex_digest().substr(0, 32);
  hex[12] = '8';  // version
  const int digit = hex[16] <= '9' ? hex[16] - '0' : hex[16] - 'a' + 10;
  hex[16] = "89ab"[digit & 3];  // variant
  return absl::StrCat(hex.substr(0, 8), "-", hex.substr(8, 4), "-", hex.substr(12, 4), "-", hex.substr(16, 4), "-",
                      hex.substr(20));
}

}  // namespace espalier::billing
