#include "rpc/credentials.h"

#include <algorithm>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/files.h"
#include "rpc/status.h"

namespace espalier {
namespace {

constexpr size_t kMostKeyBytes = 512;

bool is_token(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](unsigned char c) { return absl::ascii_isalnum(c) || c == '_' || c == '-'; });
}

std::optional<Credentials> split(const std::string& text) {
  const auto colon = text.find(':');
  if (colon == std::string::npos || text.size() > kMostKeyBytes) return std::nullopt;
  Credentials credentials{text.substr(0, colon), text.substr(colon + 1)};
  if (!is_token(credentials.key_id) || !is_token(credentials.secret)) return std::nullopt;
  return credentials;
}

}  // namespace

Result<Credentials> parse_authorization(const std::string& header) {
  const auto space = header.find(' ');
  if (space != std::string::npos) {
    const std::string scheme = header.substr(0, space);
    const bool known = absl::EqualsIgnoreCase(scheme, "Key") || absl::EqualsIgnoreCase(scheme, "Bearer");
    if (const auto credentials = split(header.substr(space + 1)); known && credentials) return *credentials;
  }
  return with_reason(absl::UnauthenticatedError("authorization: is not 'Key <key id>:<secret>'"), "KEY_MALFORMED");
}

std::string authorization_of(const Credentials& credentials) { return absl::StrCat("Key ", to_text(credentials)); }

Result<Credentials> parse_key(const std::string& text, const std::string& where) {
  if (const auto credentials = split(std::string(absl::StripAsciiWhitespace(text)))) return *credentials;
  return absl::InvalidArgumentError(absl::StrCat(
      where, ": does not hold a key (allowed: <key id>:<secret> as `espalier admin key create` prints it)"));
}

std::string to_text(const Credentials& credentials) {
  return absl::StrCat(credentials.key_id, ":", credentials.secret);
}

Result<Credentials> read_key_file(const std::filesystem::path& file) {
  ESP_ASSIGN(const std::string text, read_file(file, kMostKeyBytes));
  return parse_key(text, file.string());
}

}  // namespace espalier
