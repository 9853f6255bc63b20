#include "client/hub/digest.h"

#include <openssl/evp.h>

#include <array>
#include <system_error>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/files.h"
#include "common/sha256.h"

namespace espalier::client {
namespace {

constexpr uint64_t kLargestGitFile = uint64_t{256} << 20;  // the hub keeps larger ones outside git

// git hashes a file's content behind a header: "blob", its length in bytes, a zero byte.
Result<std::string> git_sha1_of_file(const std::filesystem::path& path) {
  ESP_ASSIGN(const std::string content, read_file(path, kLargestGitFile));
  const std::string blob = absl::StrCat("blob ", content.size(), std::string(1, '\0'), content);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int length = 0;
  if (EVP_Digest(blob.data(), blob.size(), digest.data(), &length, EVP_sha1(), nullptr) != 1) {
    return absl::InternalError("no SHA-1 in the cryptographic library");
  }
  return absl::BytesToHexString({reinterpret_cast<const char*>(digest.data()), length});
}

Status differs(const std::filesystem::path& path, const std::string& is, const std::string& expected) {
  return absl::DataLossError(absl::StrCat(path.string(), ": is ", is, " where the hub lists ", expected));
}

}  // namespace

Result<std::string> check_content(const std::filesystem::path& path, const HubFile& expected) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error) return absl::NotFoundError(absl::StrCat(path.string(), ": ", error.message()));
  if (size != static_cast<uint64_t>(expected.size)) {
    return differs(path, absl::StrCat(size, " bytes"), absl::StrCat(expected.size));
  }
  if (expected.sha256.empty()) {
    ESP_ASSIGN(const std::string sha1, git_sha1_of_file(path));
    if (sha1 != expected.git_sha1) return differs(path, absl::StrCat("git sha1 ", sha1), expected.git_sha1);
  }
  ESP_ASSIGN(const std::string sha256, sha256_hex_of_file(path));
  if (!expected.sha256.empty() && sha256 != expected.sha256) {
    return differs(path, absl::StrCat("sha256 ", sha256), expected.sha256);
  }
  return sha256;
}

}  // namespace espalier::client
