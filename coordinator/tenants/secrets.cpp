#include "coordinator/tenants/secrets.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/files.h"
#include "common/secrets.h"
#include "coordinator/clock.h"

namespace espalier::coordinator {
namespace {

constexpr size_t kPepperBytes = 32;
constexpr size_t kSecretBytes = 32;

}  // namespace

Result<Pepper> Pepper::read(const std::filesystem::path& file) {
  ESP_ASSIGN(const std::string text, read_file(file, 1024));
  std::string bytes = absl::HexStringToBytes(text.substr(0, 2 * kPepperBytes));
  if (text.size() == 2 * kPepperBytes && absl::BytesToHexString(bytes) == text) return Pepper(std::move(bytes));
  return absl::DataLossError(
      absl::StrCat(file.string(), ": is damaged; restore it from a backup: no key can be checked without it"));
}

Result<Pepper> Pepper::create(const std::filesystem::path& file) {
  std::string bytes = random_bytes(kPepperBytes);
  ESP_TRY(write_secret_file(file, absl::BytesToHexString(bytes)));
  return Pepper(std::move(bytes));
}

std::string Pepper::digest(const Credentials& credentials) const {
  return hmac_sha256_hex(bytes_, to_text(credentials));
}

Credentials new_credentials() {
  return {new_id("key"), absl::StrCat("esk_", absl::BytesToHexString(random_bytes(kSecretBytes)))};
}

}  // namespace espalier::coordinator
